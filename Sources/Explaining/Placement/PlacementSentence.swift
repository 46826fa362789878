import LogFormat
import Scheduling

/// Says why a worker was chosen: pure, from the choice at the rebuilt state and the recorded one.
struct PlacementSentence {
  private let placement: Placement
  private let worker: String
  private let doubts: [String]
  private let label: (String) -> String

  /// - Parameters:
  ///   - worker: the address of the recorded worker.
  ///   - doubts: why the rebuilt state may be wrong.
  ///   - label: the name of a worker in a sentence, by its address.
  static func text(
    _ placement: Placement, worker: String, doubts: [String] = [],
    label: @escaping (String) -> String = { $0 }
  ) -> String {
    Self(placement: placement, worker: worker, doubts: doubts, label: label).text
  }

  private var candidates: [Placement.Candidate] { placement.candidates }
  private var best: [Placement.Candidate] { placement.best }

  private var text: String {
    guard placement.isBest(worker) else { return different }
    let reason =
      candidates.count == 1
      ? "It was put there because \(onlyReason)."
      : best.count > 1 ? tie : "It was put there because \(bestReason)."
    return reason + kind + others
  }

  private func seconds(_ seconds: Double) -> String { Units.duration(seconds: seconds) }

  private func workers(_ count: Int) -> String { Units.count(Int64(count), "worker") }

  // MARK: - As the rules say

  private var onlyReason: String {
    if placement.isRestricted, !placement.needsInputs || placement.others == 0 {
      return placement.isLoose
        ? "its client prefers that worker, and others run it only if that one cannot"
        : "no other worker may run it"
    }
    if placement.others == 0 { return "there was no other worker" }
    switch placement.rule {
    case .freeThread: return "no other worker had room for it"
    case .soonest where placement.needsInputs: return "no other worker holds any of its inputs"
    case .leastWork, .inTurn: return "all other workers had enough to do"
    case .soonest, .group: return "no other worker was considered"
    }
  }

  private var tie: String {
    let number = workers(best.count)
    switch placement.rule {
    case .freeThread, .leastWork:
      return "There was a tie between \(number) with the fewest tasks per thread: "
        + "any of them could have been chosen."
    case .soonest, .inTurn, .group:
      return "There was a tie between \(number), on each of which it would have started in "
        + "\(seconds(best[0].start)): any of them could have been chosen."
    }
  }

  private var bestReason: String {
    let chosen = best[0]
    guard let second = candidates.first(where: { !$0.isBest }) else { return onlyReason }
    let name = label(second.address)
    switch placement.rule {
    case .soonest: return soonest(chosen, second, name)
    case .leastWork:
      return "that worker had the least to do of \(workers(candidates.count)): "
        + "\(seconds(chosen.occupancy)) of work; the second best, worker \(name), had "
        + "\(seconds(second.occupancy))"
    case .inTurn:
      // Dask does not look at the work of 20 workers or more.
      let turns =
        best[0].occupancy == 0 && candidates.count < 20
        ? "workers without work take turns" : "tasks without inputs go to so many workers in turn"
      return "\(turns), and it was the next of \(workers(candidates.count))"
    case .freeThread:
      return "that worker had the fewest tasks per thread of \(workers(candidates.count)) with "
        + "room for it: \(perThread(chosen)); the second best, worker \(name), had "
        + "\(perThread(second))"
    case .group:
      return "that worker takes the next tasks of its group"
    }
  }

  private func soonest(
    _ chosen: Placement.Candidate, _ second: Placement.Candidate, _ name: String
  ) -> String {
    let margin = second.start - chosen.start
    if margin == 0, second.nbytes > chosen.nbytes {
      return "it would have started as soon on worker \(name), which held more data "
        + "(\(Units.bytes(Double(second.nbytes))), and that one \(Units.bytes(Double(chosen.nbytes))))"
    }
    // An actor goes where there are fewest of them.
    guard margin > 0 else { return "that worker had fewer actors than worker \(name)" }
    return "it would have started there soonest, in \(seconds(chosen.start)): \(seconds(margin)) "
      + "before the second best, worker \(name)"
  }

  private func perThread(_ candidate: Placement.Candidate) -> String {
    "\(candidate.processing) for \(Units.count(Int64(candidate.threads), "thread"))"
  }

  private var kind: String {
    var text = ""
    if placement.isRootish {
      text += " It is one of many tasks with few or no inputs (root-ish)"
      text += placement.rule == .freeThread ? ": where its inputs are does not count." : "."
    }
    if placement.isRestricted, candidates.count > 1 {
      text +=
        placement.isLoose
        ? " Its client prefers \(workers(candidates.count)), and others run it only if none of these can."
        : " Only \(workers(candidates.count)) may run it."
    }
    return text
  }

  private var others: String {
    guard placement.others > 0, placement.needsInputs, !placement.isRestricted,
      candidates.count > 1
    else { return "" }
    return placement.others == 1
      ? " The other worker holds none of its inputs, and is not considered."
      : " \(Units.count(Int64(placement.others))) other workers hold none of its inputs, and are not "
        + "considered."
  }

  // MARK: - Otherwise

  private var different: String {
    let why =
      doubts.isEmpty
      ? "Why, the log does not say."
      : "That may be because \(doubts.joined(separator: ", and "))."
    guard let first = best.first else {
      return "At the rebuilt state no worker could be chosen for it. \(why)"
    }
    let name = best.count == 1 ? "worker \(label(first.address))" : "one of \(workers(best.count))"
    guard let taken = candidates.first(where: { $0.address == worker }) else {
      return "At the rebuilt state \(name) would be chosen, and this one not be considered. \(why)"
    }
    let margin = taken.start - first.start
    let later = margin > 0 ? ", where it would have started \(seconds(margin)) sooner" : ""
    return "At the rebuilt state \(name) would be chosen\(later). \(why)"
  }
}

extension RecordedSteal {
  /// What the steal was for.
  ///
  /// - Parameter waited: how long the task had been on the victim, as text.
  func sentence(waited: String? = nil, _ label: (String) -> String) -> String {
    let place = waited.map { ", where it had been for \($0)" } ?? ""
    let text = "Worker \(label(thief)) stole it from worker \(label(victim))\(place)"
    guard let estimate else { return "\(text); its cost and gain, the log does not say." }
    func seconds(_ seconds: Double) -> String { Units.duration(seconds: seconds) }
    let fetch =
      estimate.missingBytes > 0
      ? "had to fetch \(Units.bytes(Double(estimate.missingBytes))) for it"
      : "had nothing to fetch for it"
    return "\(text): that one had \(seconds(estimate.victim)) of work, of which this task was "
      + "\(seconds(estimate.cost)); the thief had \(seconds(estimate.thief)), and \(fetch)."
  }
}
