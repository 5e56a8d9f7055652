// An echo server on libuv as its guide has one: memory for every read, which goes back in a request of its own.
//
//   libuv-guide <port of 127.0.0.1>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct answer {
  uv_write_t request;
  uv_buf_t buffer;
};

static void check(int status, const char *what) {
  if (status >= 0) return;
  fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
  exit(1);
}

static void *allocated(size_t size) {
  void *memory = malloc(size);
  if (memory == NULL) check(UV_ENOMEM, "malloc");
  return memory;
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  *buffer = uv_buf_init(allocated(suggested), (unsigned)suggested);
}

static void freed(uv_handle_t *handle) { free(handle); }

static void end(uv_stream_t *connection) {
  if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, freed);
}

static void written(uv_write_t *request, int status) {
  struct answer *answer = (struct answer *)request;
  if (status < 0) end(request->handle);
  free(answer->buffer.base);
  free(answer);
}

static void arrived(uv_stream_t *connection, ssize_t size, const uv_buf_t *buffer) {
  if (size > 0) {
    struct answer *answer = allocated(sizeof *answer);
    answer->buffer = uv_buf_init(buffer->base, (unsigned)size);
    check(uv_write(&answer->request, connection, &answer->buffer, 1, written), "uv_write");
    return;
  }
  if (size < 0) end(connection);
  free(buffer->base);
}

static void connected(uv_stream_t *listener, int status) {
  check(status, "accept");
  uv_tcp_t *connection = allocated(sizeof *connection);
  check(uv_tcp_init(listener->loop, connection), "uv_tcp_init");
  check(uv_accept(listener, (uv_stream_t *)connection), "uv_accept");
  uv_tcp_nodelay(connection, 1);
  check(uv_read_start((uv_stream_t *)connection, give_buffer, arrived), "uv_read_start");
}

int main(int count, char **arguments) {
  if (count != 2) return fputs("usage: libuv-guide <port>\n", stderr), 2;
  uv_loop_t *loop = uv_default_loop();
  uv_tcp_t listener;
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", atoi(arguments[1]), &address);
  check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "bind");
  check(uv_listen((uv_stream_t *)&listener, 511, connected), "listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}
