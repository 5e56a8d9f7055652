// An echo server on libuv: chunks go back as they come.
//
//   libuv <port of 127.0.0.1>
//
// All connections read into one buffer, which is written at once with uv_try_write. What the socket does not take is
// copied and queued, and nothing more is read from that connection before it is gone.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct rest {
  uv_write_t request;
  char data[];
};

static char shared[64 * 1024];

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
  (void)handle, (void)suggested;
  *buffer = uv_buf_init(shared, sizeof shared);
}

static void freed(uv_handle_t *handle) { free(handle); }

static void end(uv_stream_t *connection) {
  if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, freed);
}

static void arrived(uv_stream_t *connection, ssize_t size, const uv_buf_t *buffer);

static void written(uv_write_t *request, int status) {
  uv_stream_t *connection = request->handle;
  free(request);
  if (status < 0) end(connection);
  else check(uv_read_start(connection, give_buffer, arrived), "uv_read_start");
}

static void arrived(uv_stream_t *connection, ssize_t size, const uv_buf_t *buffer) {
  if (size < 0) {
    end(connection);
    return;
  }
  if (size == 0) return;
  uv_buf_t all = uv_buf_init(buffer->base, (unsigned)size);
  int done = uv_try_write(connection, &all, 1);
  if (done == size) return;
  if (done < 0 && done != UV_EAGAIN) {
    end(connection);
    return;
  }
  size_t start = done < 0 ? 0 : (size_t)done, left = (size_t)size - start;
  struct rest *rest = allocated(sizeof *rest + left);
  memcpy(rest->data, buffer->base + start, left);
  uv_buf_t queued = uv_buf_init(rest->data, (unsigned)left);
  uv_read_stop(connection);
  check(uv_write(&rest->request, connection, &queued, 1, written), "uv_write");
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
  if (count != 2) return fputs("usage: libuv <port>\n", stderr), 2;
  uv_loop_t *loop = uv_default_loop();
  uv_tcp_t listener;
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", atoi(arguments[1]), &address);
  check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "bind");
  check(uv_listen((uv_stream_t *)&listener, 511, connected), "listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}
