/* net/tls.c - TLS as a stream over a stream.
 *
 *	inner on_read -> in (borrowed slice) -> SSL_read -> owner
 *	owner -> SSL_write -> out -> inner try_write; what is left flies by inner write
 *
 * The hard thing is that OpenSSL takes and gives bytes at its own pace: a BIO of ours reads from
 * the slice at hand and appends to `out`, so nothing is copied twice and no socket is touched by
 * OpenSSL. At most OUT_HIGH bytes of ciphertext wait; a larger plaintext stays with its owner
 * until they have left.
 */
#include "net/tls.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

enum {
	RECORD = 16 * 1024,
	OUT_HIGH = 64 * 1024,
	OUT_MAX = 4 * 1024 * 1024, /* no run of records comes near it */
	SESSIONS_MAX = 32,
};

struct tls_session {
	char host[256];
	SSL_SESSION *session;
};

struct tls_ctx {
	SSL_CTX *ssl;
	bool verify;
	unsigned refs; /* the owner and each stream */
	struct tls_session sessions[SESSIONS_MAX];
	unsigned next_session;
};

struct tls_stream {
	struct stream base;
	struct stream *inner;
	struct tls_ctx *ctx;
	SSL *ssl;
	struct str in;       /* ciphertext not read yet; borrowed, during one inner read only */
	struct buf out, fly; /* ciphertext to send; fly is with the inner stream */
	bool flying;
	struct str plain[STREAM_IOV_MAX]; /* of a write under way; borrowed from the owner */
	unsigned n_plain;
	bool writing;
	bool open, reading, ended, closed, shut_wanted;
	struct loop_dead dead;
	char host[256];
};

static int ctx_index =
	-1; /* where an SSL keeps its tls_stream; made once, before any thread uses it */
static BIO_METHOD *bio_slice;

/* --- the BIO --- */

static int bio_read(BIO *b, char *out, int n)
{
	struct tls_stream *t = BIO_get_data(b);
	size_t k = t->in.len < (size_t)n ? t->in.len : (size_t)n;

	BIO_clear_retry_flags(b);
	if (k == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(out, t->in.ptr, k);
	t->in = str_from_offset(t->in, k);
	return (int)k;
}

static int bio_write(BIO *b, const char *bytes, int n)
{
	struct tls_stream *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	buf_put(&t->out, (struct str){ bytes, (size_t)n });
	return buf_ok(&t->out) ? n : -1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH; /* all else: not supported */
}

static int on_new_session(SSL *ssl, SSL_SESSION *session);

static void init_once(void)
{
	ctx_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	bio_slice = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "slice");
	if (!bio_slice)
		return;
	BIO_meth_set_read(bio_slice, bio_read);
	BIO_meth_set_write(bio_slice, bio_write);
	BIO_meth_set_ctrl(bio_slice, bio_ctrl);
}

/* --- contexts --- */

static struct tls_ctx *ctx_new(const SSL_METHOD *method, struct err *reterr)
{
	static uv_once_t once = UV_ONCE_INIT;
	struct tls_ctx *c;

	uv_once(&once, init_once);
	c = calloc(1, sizeof(*c));
	if (c && bio_slice)
		c->ssl = SSL_CTX_new(method);
	if (!c || !c->ssl) {
		(void)err_set(reterr, RC_NOMEM, "no memory for TLS");
		free(c);
		return NULL;
	}
	c->refs = 1;
	SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return c;
}

/* The reason OpenSSL gives, as text that holds no secret. */
static const char *why(char out[160])
{
	unsigned long e = ERR_peek_last_error();

	if (e == 0)
		return "unknown error";
	const char *reason = ERR_reason_error_string(e);

	if (reason)
		return reason;
	ERR_error_string_n(e, out, 160);
	return out;
}

static const char *c_path(struct str s, char out[PATH_MAX])
{
	size_t n = s.len < PATH_MAX - 1 ? s.len : PATH_MAX - 1;

	memcpy(out, s.ptr, n);
	out[n] = '\0';
	return out;
}

/* The system's store is a megabyte of certificates once read: one for the whole process, never let
 * go. OpenSSL locks it. */
static X509_STORE *system_store;

static void read_system_store(void)
{
	system_store = X509_STORE_new();
	if (system_store && X509_STORE_set_default_paths(system_store) != 1) {
		X509_STORE_free(system_store);
		system_store = NULL;
	}
}

static bool use_system_store(struct tls_ctx *c)
{
	static uv_once_t once = UV_ONCE_INIT;

	uv_once(&once, read_system_store);
	if (system_store)
		SSL_CTX_set1_cert_store(c->ssl, system_store);
	return system_store != NULL;
}

struct tls_ctx *tls_client_ctx(struct str ca_file, bool verify, struct err *reterr)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	struct tls_ctx *c = ctx_new(TLS_client_method(), reterr);
	char path[PATH_MAX], text[160];
	int ok = 1;

	if (!c)
		return NULL;
	ERR_clear_error();
	c->verify = verify;
	SSL_CTX_set_verify(c->ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (str_present(ca_file))
		ok = SSL_CTX_load_verify_file(c->ssl, c_path(ca_file, path));
	else if (verify)
		ok = use_system_store(c);
	if (!ok || SSL_CTX_set_alpn_protos(c->ssl, alpn, sizeof(alpn) - 1) != 0) {
		(void)err_set(reterr, RC_INVALID, "cannot load the certificates to trust%s%.*s: %s",
			      str_present(ca_file) ? " from " : "", STR_ARG(ca_file), why(text));
		tls_ctx_free(c);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, on_new_session);
	return c;
}

static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)ret, ret_len, ours, sizeof(ours) - 1, in,
				     in_len) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct tls_ctx *tls_server_ctx(struct str certificate, struct str key, struct err *reterr)
{
	struct tls_ctx *c = ctx_new(TLS_server_method(), reterr);
	char path[PATH_MAX], text[160];

	if (!c)
		return NULL;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(c->ssl, c_path(certificate, path)) != 1) {
		(void)err_set(reterr, RC_INVALID, "cannot load the certificate %s: %s", path,
			      why(text));
		goto fail;
	}
	if (SSL_CTX_use_PrivateKey_file(c->ssl, c_path(key, path), SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(c->ssl) != 1) {
		(void)err_set(reterr, RC_INVALID,
			      "cannot load the key %s, or it is not the certificate's: %s", path,
			      why(text));
		goto fail;
	}
	SSL_CTX_set_alpn_select_cb(c->ssl, select_alpn, NULL);
	return c;

fail:
	tls_ctx_free(c);
	return NULL;
}

void tls_ctx_free(struct tls_ctx *c)
{
	if (!c || --c->refs > 0)
		return;
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		SSL_SESSION_free(c->sessions[i].session);
	SSL_CTX_free(c->ssl);
	free(c);
}

/* --- sessions --- */

static struct tls_session *find_session(struct tls_ctx *c, const char *host)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		if (c->sessions[i].session && strcmp(c->sessions[i].host, host) == 0)
			return &c->sessions[i];
	}
	return NULL;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_stream *t = SSL_get_ex_data(ssl, ctx_index);
	struct tls_session *slot = find_session(t->ctx, t->host);

	if (!slot)
		slot = &t->ctx->sessions[t->ctx->next_session++ % SESSIONS_MAX];
	SSL_SESSION_free(slot->session);
	memcpy(slot->host, t->host, sizeof(slot->host));
	slot->session = session;
	return 1; /* the reference is ours */
}

/* --- sending --- */

static int flush(struct tls_stream *t)
{
	if (t->flying || buf_len(&t->out) == 0)
		return buf_ok(&t->out) ? 0 : UV_ENOMEM;
	struct str bytes = buf_str(&t->out);
	ssize_t n = stream_try_write(t->inner, &bytes, 1);

	if (n < 0)
		return (int)n;
	buf_consume(&t->out, (size_t)n);
	if (buf_len(&t->out) == 0) {
		buf_done(&t->out); /* idle connections hold no buffers */
		return 0;
	}
	struct buf b = t->fly;

	t->fly = t->out;
	t->out = b;
	bytes = buf_str(&t->fly);
	int rc = stream_write(t->inner, &bytes, 1);

	t->flying = rc == 0;
	return rc;
}

/* Encrypts a prefix of `v`; returns its length or a negative UV error. Small slices share a
 * record. */
static ssize_t encrypt(struct tls_stream *t, const struct str *v, unsigned n)
{
	char record[RECORD];
	size_t total = 0, at = 0; /* `at`: position in v[0] */

	ERR_clear_error();
	while (n > 0 && buf_len(&t->out) + buf_len(&t->fly) < OUT_HIGH) {
		size_t len = 0, written = 0;

		while (n > 0 && len < RECORD) {
			size_t k = v->len - at < RECORD - len ? v->len - at : RECORD - len;

			if (k)
				memcpy(record + len, v->ptr + at, k);
			len += k;
			at += k;
			if (at == v->len)
				v++, n--, at = 0;
		}
		if (len == 0)
			break;
		if (SSL_write_ex(t->ssl, record, len, &written) != 1 || written != len)
			return UV_EPROTO;
		total += len;
	}
	return (ssize_t)total;
}

static ssize_t tls_try_write(struct stream *s, const struct str *v, unsigned n)
{
	struct tls_stream *t = (struct tls_stream *)s;
	ssize_t taken;
	int rc;

	if (!t->open || t->writing || t->flying)
		return 0;
	taken = encrypt(t, v, n);
	if (taken < 0)
		return taken;
	rc = flush(t);
	return rc < 0 ? rc : taken;
}

/* Goes on with the owner's write: 1 when all of it has left, 0 when not yet. */
static int push_plain(struct tls_stream *t)
{
	ssize_t taken = encrypt(t, t->plain, t->n_plain);
	int rc;

	if (taken < 0)
		return (int)taken;
	unsigned done = 0;

	while (done < t->n_plain && (size_t)taken >= t->plain[done].len)
		taken -= (ssize_t)t->plain[done++].len;
	if (done < t->n_plain)
		t->plain[done] = str_from_offset(t->plain[done], (size_t)taken);
	memmove(t->plain, t->plain + done, (t->n_plain - done) * sizeof(t->plain[0]));
	t->n_plain -= done;
	rc = flush(t);
	if (rc < 0)
		return rc;
	return t->n_plain == 0 && !t->flying && buf_len(&t->out) == 0;
}

static void push_later(struct loop_dead *dead)
{
	struct tls_stream *t = LIST_ENTRY(dead, struct tls_stream, dead);
	int rc = 0;

	/* flush() may send all at once, so that no inner on_written comes to go on from */
	while (t->writing && !t->flying && rc == 0)
		rc = push_plain(t);
	if (rc == 0 || t->closed)
		return;
	t->writing = false;
	t->base.ev->on_written(t->base.user, rc < 0 ? rc : 0);
}

static int tls_write(struct stream *s, const struct str *v, unsigned n)
{
	struct tls_stream *t = (struct tls_stream *)s;

	assert(!t->writing && n <= STREAM_IOV_MAX);
	if (!t->open)
		return UV_ENOTCONN;
	for (unsigned i = 0; i < n; i++)
		t->plain[i] = v[i];
	t->n_plain = n;
	t->writing = true;
	list_remove(&t->dead.node);
	if (!t->flying)
		loop_free_later(t->base.loop, &t->dead, push_later);
	return 0;
}

static size_t tls_pending(const struct stream *s)
{
	const struct tls_stream *t = (const struct tls_stream *)s;
	size_t sum = buf_len(&t->out) + (t->flying ? stream_pending(t->inner) : 0);

	for (unsigned i = 0; i < t->n_plain; i++)
		sum += t->plain[i].len;
	return sum;
}

static void tls_shutdown(struct stream *s)
{
	struct tls_stream *t = (struct tls_stream *)s;

	if (t->open) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
	}
	if (flush(t) == 0 && !t->flying)
		stream_shutdown(t->inner);
	else
		t->shut_wanted = true;
}

static void on_inner_written(void *user, int status)
{
	struct tls_stream *t = user;
	int rc = status;

	t->flying = false;
	buf_done(&t->fly);
	if (rc == 0 && t->writing) {
		push_later(&t->dead);
		return;
	}
	if (rc == 0)
		rc = flush(t);
	if (rc == 0 && t->shut_wanted && !t->flying) {
		t->shut_wanted = false;
		stream_shutdown(t->inner);
	}
	if (rc < 0 && t->writing) {
		t->writing = false;
		t->base.ev->on_written(t->base.user, rc);
	} else if (rc < 0 && !t->ended && t->reading) {
		t->ended = true;
		t->base.ev->on_end(t->base.user, rc);
	}
}

/* --- receiving --- */

static void end(struct tls_stream *t, int status, struct str detail)
{
	if (t->ended)
		return;
	t->ended = true;
	if (!t->open)
		t->base.ev->on_open(t->base.user, status == UV_EOF ? UV_ECONNRESET : status,
				    detail);
	else
		t->base.ev->on_end(t->base.user, status);
}

static void handshake(struct tls_stream *t)
{
	char text[160];
	int rc, wanted, sent;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	wanted = SSL_get_error(t->ssl, rc);
	long verdict = SSL_get_verify_result(t->ssl);
	const char *reason = rc == 1 ? NULL : why(text);

	sent = flush(t); /* the alert of a failure, too */
	if (rc == 1 && sent == 0) {
		t->open = true;
		if (t->base.ev->on_open)
			t->base.ev->on_open(t->base.user, 0, STR_NONE);
		return;
	}
	if (sent < 0)
		end(t, sent, str_from(uv_strerror(sent)));
	else if (wanted != SSL_ERROR_WANT_READ && t->ctx->verify && verdict != X509_V_OK)
		end(t, UV_EPROTO, str_from(X509_verify_cert_error_string(verdict)));
	else if (wanted != SSL_ERROR_WANT_READ)
		end(t, UV_EPROTO, str_from(reason));
}

static void on_inner_read(void *user, struct str bytes)
{
	struct tls_stream *t = user;
	char plain[RECORD];

	t->in = bytes;
	if (!t->open && !t->ended)
		handshake(t);
	while (t->open && !t->closed && !t->ended) {
		size_t n = 0;

		ERR_clear_error();
		if (SSL_read_ex(t->ssl, plain, sizeof(plain), &n) == 1) {
			t->base.ev->on_read(t->base.user, (struct str){ plain, n });
			continue;
		}
		int e = SSL_get_error(t->ssl, 0);
		int rc = flush(t); /* answers to key updates */

		if (e == SSL_ERROR_ZERO_RETURN)
			end(t, UV_EOF, STR_NONE);
		else if (e != SSL_ERROR_WANT_READ || rc < 0)
			end(t, rc < 0 ? rc : UV_EPROTO, STR_NONE);
		break;
	}
	t->in = STR("");
}

static void on_inner_read_done(void *user)
{
	struct tls_stream *t = user;

	if (t->open && !t->ended && t->base.ev->on_read_done)
		t->base.ev->on_read_done(t->base.user);
}

static void on_inner_end(void *user, int status)
{
	/* An end without the peer's notice may be a cut by somebody else: not a clean end of
	 * file. */
	end(user, status == UV_EOF ? UV_ECONNRESET : status, STR("the peer closed the connection"));
}

static const struct stream_events inner_events = {
	.on_read = on_inner_read,
	.on_read_done = on_inner_read_done,
	.on_end = on_inner_end,
	.on_written = on_inner_written,
};

static int tls_read_start(struct stream *s)
{
	struct tls_stream *t = (struct tls_stream *)s;

	t->reading = true;
	return stream_read_start(t->inner);
}

static void tls_read_stop(struct stream *s)
{
	struct tls_stream *t = (struct tls_stream *)s;

	t->reading = false;
	if (t->open)
		stream_read_stop(t->inner);
}

/* --- life --- */

static void tls_free(struct loop_dead *dead)
{
	struct tls_stream *t = LIST_ENTRY(dead, struct tls_stream, dead);

	SSL_free(t->ssl);
	buf_done(&t->out);
	buf_done(&t->fly);
	tls_ctx_free(t->ctx);
	free(t);
}

static void tls_close(struct stream *s, bool reset)
{
	struct tls_stream *t = (struct tls_stream *)s;

	if (t->closed)
		return;
	t->closed = true;
	if (t->open && !reset) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
		(void)flush(t); /* as far as it goes */
	}
	t->inner->vt->close(t->inner, reset);
	list_remove(&t->dead.node);
	loop_free_later(t->base.loop, &t->dead, tls_free);
}

static const struct stream_vt vt_tls = {
	.read_start = tls_read_start,
	.read_stop = tls_read_stop,
	.try_write = tls_try_write,
	.write = tls_write,
	.pending = tls_pending,
	.shutdown = tls_shutdown,
	.close = tls_close,
};

static struct tls_stream *tls_new(struct stream *inner, struct tls_ctx *ctx,
				  const struct stream_events *ev, void *user)
{
	struct tls_stream *t = calloc(1, sizeof(*t));
	BIO *bio = BIO_new(bio_slice);
	SSL *ssl = SSL_new(ctx->ssl);

	if (!t || !bio || !ssl || !SSL_set_ex_data(ssl, ctx_index, t)) {
		free(t);
		BIO_free(bio);
		SSL_free(ssl);
		stream_close(inner);
		return NULL;
	}
	t->base = (struct stream){ .vt = &vt_tls, .loop = inner->loop, .ev = ev, .user = user };
	t->inner = inner;
	t->ctx = ctx;
	ctx->refs++;
	t->ssl = ssl;
	list_init(&t->dead.node);
	buf_init(&t->out, OUT_MAX);
	buf_init(&t->fly, OUT_MAX);
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	stream_own(inner, &inner_events, t);
	return t;
}

static bool is_address(const char *host)
{
	struct in6_addr bin;

	return uv_inet_pton(AF_INET, host, &bin) == 0 || uv_inet_pton(AF_INET6, host, &bin) == 0;
}

static void start_client(struct loop_dead *dead)
{
	struct tls_stream *t = LIST_ENTRY(dead, struct tls_stream, dead);
	int rc = stream_read_start(t->inner);

	if (rc < 0)
		end(t, rc, str_from(uv_strerror(rc)));
	else
		handshake(t);
}

struct stream *tls_client(struct stream *inner, struct tls_ctx *ctx, struct str host,
			  const struct stream_events *ev, void *user)
{
	struct tls_stream *t = tls_new(inner, ctx, ev, user);
	struct tls_session *known;
	int ok;

	if (!t)
		return NULL;
	memcpy(t->host, host.ptr, host.len < sizeof(t->host) ? host.len : sizeof(t->host) - 1);
	if (is_address(t->host)) {
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->host);
	} else {
		SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		ok = SSL_set1_host(t->ssl, t->host) && SSL_set_tlsext_host_name(t->ssl, t->host);
	}
	known = find_session(ctx, t->host);
	if (known)
		SSL_set_session(t->ssl, known->session);
	SSL_set_connect_state(t->ssl);
	loop_free_later(inner->loop, &t->dead, start_client);
	if (!ok) {
		tls_close(&t->base, true);
		return NULL;
	}
	return &t->base;
}

struct stream *tls_server(struct stream *inner, struct tls_ctx *ctx, const struct stream_events *ev,
			  void *user)
{
	struct tls_stream *t = tls_new(inner, ctx, ev, user);

	if (!t)
		return NULL;
	SSL_set_accept_state(t->ssl);
	return &t->base;
}

bool tls_resumed(const struct stream *s)
{
	return SSL_session_reused(((const struct tls_stream *)s)->ssl) == 1;
}
