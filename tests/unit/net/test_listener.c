/* tests/unit/net/test_listener.c - mirrors src/net/listener.c. Running out of descriptors is in
 * http/test_server.c. */
#include "rig.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct counter {
	struct rig *rig;
	struct listener *listener;
	unsigned n;
	bool pause_at_once;
	char name[64];
};

static void count(void *user, struct stream *s, const char *peer)
{
	struct counter *c = user;

	c->n++;
	snprintf(c->name, sizeof(c->name), "%s", peer);
	if (c->pause_at_once)
		listener_pause(c->listener);
	stream_close(s);
}

static const struct listener_events counting = { .on_accept = count };

static void two_listeners_share_a_port(void **state)
{
	struct listener_options o = { .host = STR("127.0.0.1"), .reuse_port = true };
	struct counter c[2] = { { .n = 0 } };
	struct rig r;

	rig_init(&r);
	c[0].listener = listener_open(&r.loop, &o, &counting, &c[0], NULL);
	assert_non_null(c[0].listener);
	o.port = listener_port(c[0].listener);
	c[1].listener = listener_open(&r.loop, &o, &counting, &c[1], NULL);
	assert_non_null(c[1].listener);
	assert_int_equal(listener_port(c[1].listener), o.port);
	for (int i = 0; i < 40; i++)
		peer_free(peer_connect(&r, o.port));
	RUN_UNTIL(&r, c[0].n + c[1].n == 40);
	assert_true(c[0].n > 0 && c[1].n > 0);
	assert_int_equal(strncmp(c[0].name, "127.0.0.1:", 10), 0);
	listener_close(c[0].listener);
	listener_close(c[1].listener);
	rig_done(&r);
}

static void a_port_in_use_is_an_error_that_says_so(void **state)
{
	struct listener_options o = { .host = STR("127.0.0.1") };
	struct counter c = { .n = 0 };
	struct err err;
	struct rig r;

	rig_init(&r);
	c.listener = listener_open(&r.loop, &o, &counting, &c, NULL);
	assert_non_null(c.listener);
	o.port = listener_port(c.listener);
	assert_null(listener_open(&r.loop, &o, &counting, &c, &err));
	assert_non_null(strstr(err.msg, "already in use"));
	o.host = STR("no.such.name.invalid");
	assert_null(listener_open(&r.loop, &o, &counting, &c, &err));
	assert_non_null(strstr(err.msg, "no.such.name.invalid"));
	listener_close(c.listener);
	rig_done(&r);
}

static void a_name_is_listened_on_at_every_address_it_has(void **state)
{
	struct listener_options o = { .host = STR("localhost") };
	struct counter c = { .n = 0 };
	struct rig r;

	rig_init(&r);
	c.listener = listener_open(&r.loop, &o, &counting, &c, NULL);
	assert_non_null(c.listener);
	peer_free(peer_connect(&r, listener_port(c.listener)));
	RUN_UNTIL(&r, c.n == 1);
	listener_close(c.listener);
	rig_done(&r);
}

static void a_paused_listener_leaves_connections_waiting(void **state)
{
	struct listener_options o = { .host = STR("127.0.0.1") };
	struct counter c = { .pause_at_once = true };
	struct peer *p[5];
	struct rig r;

	rig_init(&r);
	c.listener = listener_open(&r.loop, &o, &counting, &c, NULL);
	assert_non_null(c.listener);
	for (int i = 0; i < 5; i++)
		p[i] = peer_connect(&r, listener_port(c.listener));
	RUN_UNTIL(&r, c.n == 1);
	rig_settle(&r, 10);
	assert_int_equal(c.n, 1);
	c.pause_at_once = false;
	listener_resume(c.listener);
	RUN_UNTIL(&r, c.n == 5);
	for (int i = 0; i < 5; i++)
		peer_free(p[i]);
	listener_close(c.listener);
	rig_done(&r);
}

static void a_dead_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
	char dir[] = "/tmp/gw-test-XXXXXX", path[64];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct counter c = { .n = 0 };
	struct err err;
	struct rig r;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	struct listener_options o = { .unix_path = str_from(path) };

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd); /* what a killed process leaves */
	rig_init(&r);
	c.listener = listener_open(&r.loop, &o, &counting, &c, NULL);
	assert_non_null(c.listener);
	assert_null(listener_open(&r.loop, &o, &counting, &c, &err));
	assert_non_null(strstr(err.msg, "in use"));
	listener_close(c.listener);
	assert_int_not_equal(access(path, F_OK), 0);
	/* what is no socket is nobody's to remove */
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fclose(file);
	assert_null(listener_open(&r.loop, &o, &counting, &c, &err));
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	rmdir(dir);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_listeners_share_a_port),
		cmocka_unit_test(a_port_in_use_is_an_error_that_says_so),
		cmocka_unit_test(a_name_is_listened_on_at_every_address_it_has),
		cmocka_unit_test(a_paused_listener_leaves_connections_waiting),
		cmocka_unit_test(a_dead_socket_file_is_replaced_and_a_live_one_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
