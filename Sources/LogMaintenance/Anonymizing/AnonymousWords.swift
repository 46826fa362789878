import TaskLogPlugin

/// The texts that an anonymised copy keeps: words of Dask and of tasklog, which are in every log.
///
/// Everything else that is text becomes a pseudonym, also in fields of later versions: what is not
/// listed here cannot get into a copy.
enum AnonymousWords {
  /// Words of fields that have a fixed set of them: states, operations, actions, reasons.
  static let all: Set<String> = Set(
    State.known.map(\.name) + Hook.known.map(\.name)
      + words(
        """
        OK error init undefined running paused closing closing_gracefully closed failed starting \
        started stopped stopping lookup dont_reply no-worker started setup teardown exit kill add \
        remove true false scheduler worker nanny command all print warn fire-and-forget none \
        reprocess INFO DEBUG WARNING ERROR CRITICAL optimistic process managed little big Linux \
        Darwin Windows x86_64 aarch64 arm64

        acquire-replicas cancel-compute compute-task execute-done execute-failure execute-success \
        find-missing free-keys gather-dep-busy gather-dep-done gather-dep-failure \
        gather-dep-network-failure gather-dep-success pause refresh-who-has remove-replicas \
        remove-worker reschedule retry-busy-worker secede steal-request unpause update-data \
        worker-status-change clock-offset computation set-metadata set-resources set-restrictions \
        long-running heartbeat-client heartbeat-worker unknown-durations check-idle-saturated \
        move-task update-graph

        retire-workers workers-to-close restart restart-workers terminate close acquire release \
        wait set clear put get begin end semaphore event queue variable lock

        add-client add-worker cancel close-worker closing-worker compute could-not-retire disk-read \
        disk-write gather no-workers-timeout-exceeded rebalance remove-client remove-worker-data \
        replicate replicate-add retired retry run-function scatter scheduler-transition-failed \
        transfer worker-ttl-timed-out deserialize request confirm already-computing already-aborted \
        invalid-worker worker-get-client worker-released steal stealing

        execute gather-dep get-data memory-monitor compress decompress dumps executor idle network \
        network-write offload p2p p2p-disk-read p2p-disk-write p2p-get-output-cpu \
        p2p-get-output-noncpu p2p-shard-partition-cpu p2p-shard-partition-noncpu send serialize \
        thread-cpu thread-noncpu other seconds bytes count latency tick-duration profile-duration get-data-network \
        transfer-bandwidth transfer-duration compute-duration

        adaptive-deleted cluster-not-running idle-timeout-exceeded jupyter-requested-shutdown \
        nanny-close nanny-close-gracefully nanny-instantiate-failed nanny-instantiate-timeout \
        nanny-kill nanny-start-failed nanny-unregister-failed scheduler-close \
        scheduler-connection-lost scheduler-restart scheduler-remove-worker \
        worker-handle-scheduler-connection-broken worker-heartbeat-error worker-heartbeat-missing \
        worker-lifetime-reached worker-close worker-ttl nanny-worker-memory

        Kubernetes SLURM OOMKilled OOMKilling SystemOOM Evicted Evicting Preempting Preempted \
        NodeShutdown NodeLost Terminated Shutdown Killing Completed Error DeadlineExceeded \
        ContainerStatusUnknown TaintManagerEviction OUT_OF_MEMORY NODE_FAIL TIMEOUT CANCELLED \
        PREEMPTED FAILED COMPLETED BOOT_FAIL DEADLINE REVOKED

        distributed distributed.scheduler distributed.worker distributed.worker.memory \
        distributed.worker.state_machine distributed.nanny distributed.nanny.memory \
        distributed.core distributed.comm distributed.comm.tcp distributed.batched \
        distributed.client distributed.shuffle distributed.stealing distributed.broker \
        distributed.utils_perf distributed.diskutils distributed.active_memory_manager \
        distributed.protocol distributed.protocol.pickle distributed.protocol.core \
        distributed._signals distributed.preloading distributed.deploy tasklog

        replicas desires long_running set_restrictions heartbeat_worker heartbeat_client \
        set_metadata set_resources update_data requests locks plugins monitor submissions \
        heartbeats stimuli workers deep

        counter Counter errors ErrorLogger

        distributed.stealing.WorkStealing distributed.scheduler.WorkerStatusPlugin \
        distributed.shuffle._scheduler_plugin.ShuffleSchedulerPlugin \
        distributed.spans.SpansSchedulerExtension distributed.recreate_tasks.ReplayTaskScheduler \
        distributed.active_memory_manager.ActiveMemoryManagerExtension tasklog.recorder.Recorder \
        distributed.scheduler.WorkerState distributed.scheduler.TaskState \
        distributed.scheduler.ClientState
        """))

  /// The packages whose versions Dask and tasklog record.
  static let packages: Set<String> = Set(
    words(
      """
      python dask distributed msgpack cloudpickle tornado toolz numpy pandas lz4 pyarrow blosc \
      zstandard cytoolz
      """))

  private static func words(_ text: String) -> [String] {
    text.split(whereSeparator: \.isWhitespace).map(String.init)
  }
}
