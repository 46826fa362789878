#include <stdint.h>
#include <sys/time.h>
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

/* amqp_login has a variable number of arguments, which Swift cannot call. */
static inline amqp_rpc_reply_t tl_amqp_login(
    amqp_connection_state_t connection, const char *vhost, int frame_max, int heartbeat,
    const char *user, const char *password) {
  return amqp_login(
      connection, vhost, 0, frame_max, heartbeat, AMQP_SASL_METHOD_PLAIN, user, password);
}
