#include <stdint.h>
#include <sys/time.h>
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

/* amqp_login has a variable number of arguments, which Swift cannot call. Without the capability a
   broker does not tell a consumer that its queue is gone. */
static inline amqp_rpc_reply_t tl_amqp_login(
    amqp_connection_state_t connection, const char *vhost, int frame_max, int heartbeat,
    const char *user, const char *password) {
  amqp_table_entry_t capability = {0};
  capability.key = amqp_cstring_bytes("consumer_cancel_notify");
  capability.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  capability.value.value.boolean = 1;
  amqp_table_entry_t capabilities = {0};
  capabilities.key = amqp_cstring_bytes("capabilities");
  capabilities.value.kind = AMQP_FIELD_KIND_TABLE;
  capabilities.value.value.table.num_entries = 1;
  capabilities.value.value.table.entries = &capability;
  amqp_table_t properties = {1, &capabilities};
  return amqp_login_with_properties(
      connection, vhost, 0, frame_max, heartbeat, &properties, AMQP_SASL_METHOD_PLAIN, user,
      password);
}
