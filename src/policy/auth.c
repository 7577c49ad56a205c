/* policy/auth.c - who is calling, and what may they do.
 *
 * The hard thing is that a key may stand in five places: whichever it is in, and in however many, it is one key or
 * the request is refused (R6). It is only ever compared as a digest, in a time that does not depend on it. */
#include "policy/auth.h"

#include "base/hash.h"
#include "ir/request.h"

enum { MAX_KEY = 4096 };

/* What the carriers said together. */
struct found {
	struct str key;        /* absent: none */
	char decoded[MAX_KEY]; /* of ?key= */
	bool conflict, malformed;
};

bool auth_on(const struct snapshot *s)
{
	return s->auth == AUTH_KEYS || (s->auth == AUTH_AUTO && s->n_keys > 0);
}

static void take(struct found *f, struct str key)
{
	if (!key.len || key.len > MAX_KEY)
		f->malformed = true;
	else if (!str_present(f->key))
		f->key = key;
	else if (f->key.len != key.len || !bytes_eq_secret(f->key.ptr, key.ptr, key.len))
		f->conflict = true;
}

static void take_bearer(struct found *f, struct str value)
{
	if (str_istarts(value, STR("bearer ")))
		take(f, str_trim(str_from_offset(value, 7)));
	else
		f->malformed = true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded into `out`; a plus stays a plus, keys may hold one. -1 when it is not well-formed or too long. */
static ptrdiff_t decode(struct str s, char *out)
{
	size_t n = 0;

	if (s.len > MAX_KEY)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		int hi, lo;

		if (s.ptr[i] != '%') {
			out[n++] = s.ptr[i];
			continue;
		}
		if (i + 2 >= s.len)
			return -1;
		hi = hex_digit(s.ptr[i + 1]);
		lo = hex_digit(s.ptr[i + 2]);
		if (hi < 0 || lo < 0)
			return -1;
		out[n++] = (char)(hi * 16 + lo);
		i += 2;
	}
	return (ptrdiff_t)n;
}

static void take_query(struct found *f, struct str query)
{
	char text[MAX_KEY];

	while (str_present(query)) {
		struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');
		ptrdiff_t n;

		if (!str_eq(name, STR("key")))
			continue;
		n = str_present(value) ? decode(value, text) : -1;
		if (n > 0 && !str_present(f->key)) {
			memcpy(f->decoded, text, (size_t)n);
			take(f, (struct str){ f->decoded, (size_t)n });
		} else {
			take(f, (struct str){ text, n > 0 ? (size_t)n : 0 });
		}
		bytes_wipe(text, sizeof(text));
	}
}

static void find_key(const struct http_head *head, struct found *f)
{
	f->key = STR_NONE;
	f->conflict = f->malformed = false;
	for (unsigned i = 0; i < head->n_fields; i++) {
		struct str name = head->fields[i].name, value = head->fields[i].value;

		if (str_ieq(name, STR("authorization")))
			take_bearer(f, value);
		else if (str_ieq(name, STR("x-api-key")) || str_ieq(name, STR("api-key")) ||
			 str_ieq(name, STR("x-goog-api-key")))
			take(f, str_trim(value));
	}
	take_query(f, head->query);
}

static int refuse(struct ir_error *reterr, enum ir_error_kind kind, struct str code,
		  struct str message)
{
	*reterr = (struct ir_error){
		.kind = kind, .code = code, .message = message, .retry_after_ms = -1
	};
	return RC_INVALID;
}

/* All keys are looked at, whichever fits. */
static const struct gateway_key *look_up(const struct snapshot *s, struct str key)
{
	const struct gateway_key *found = NULL;
	uint8_t digest[SHA256_LEN];

	sha256(key, digest);
	for (unsigned i = 0; i < s->n_keys; i++)
		if (bytes_eq_secret(s->keys[i].sha256, digest, SHA256_LEN))
			found = &s->keys[i];
	return found;
}

static int check_permission(const struct principal *p, enum http_method method,
			    struct ir_error *reterr)
{
	bool reads = method == HTTP_GET || method == HTTP_HEAD;

	if (p->permissions & (reads ? PERMISSION_READ : PERMISSION_WRITE))
		return RC_OK;
	if (reads)
		return refuse(reterr, IR_ERR_PERMISSION, STR("permission_denied"),
			      STR("This gateway key lacks the permission `read`, which GET "
				  "requests need."));
	return refuse(
		reterr, IR_ERR_PERMISSION, STR("permission_denied"),
		STR("This gateway key lacks the permission `write`, which asking a model needs."));
}

static int check_key(const struct snapshot *s, const struct found *f, struct principal *ret,
		     struct ir_error *reterr)
{
	if (f->conflict)
		return refuse(reterr, IR_ERR_AUTHENTICATION, STR("invalid_api_key"),
			      STR("Two different API keys were sent. Send one, in one place."));
	if (f->malformed)
		return refuse(reterr, IR_ERR_AUTHENTICATION, STR("invalid_api_key"),
			      STR("The API key cannot be read. Send `Authorization: Bearer KEY` or "
				  "`x-api-key: KEY`."));
	if (!str_present(f->key))
		return refuse(reterr, IR_ERR_AUTHENTICATION, STR("missing_api_key"),
			      STR("No API key was sent. Send a gateway key as `Authorization: "
				  "Bearer KEY` or `x-api-key: KEY`."));
	ret->key = look_up(s, f->key);
	if (!ret->key)
		return refuse(reterr, IR_ERR_AUTHENTICATION, STR("invalid_api_key"),
			      STR("This API key is not one of the gateway's. Ask its operator for "
				  "a gateway key; a provider's own key does not work here."));
	ret->permissions = ret->key->permissions;
	return RC_OK;
}

int auth_check(const struct snapshot *s, const struct http_head *head, struct principal *ret,
	       struct ir_error *reterr)
{
	struct principal p = { .key = NULL, .permissions = PERMISSION_READ | PERMISSION_WRITE };
	struct found f;
	int rc = RC_OK;

	if (auth_on(s)) {
		find_key(head, &f);
		rc = check_key(s, &f, &p, reterr);
		bytes_wipe(f.decoded, sizeof(f.decoded));
		if (rc == RC_OK)
			rc = check_permission(&p, head->method, reterr);
	}
	if (rc == RC_OK)
		*ret = p;
	return rc;
}

bool auth_model_allowed(const struct principal *p, struct str model)
{
	if (!p->key || !p->key->n_models)
		return true;
	for (unsigned i = 0; i < p->key->n_models; i++)
		if (str_glob(p->key->models[i], model) || ir_same_model(p->key->models[i], model))
			return true;
	return false;
}

int auth_check_model(const struct principal *p, struct str model, struct arena *a,
		     struct ir_error *reterr)
{
	struct str message;

	if (auth_model_allowed(p, model))
		return RC_OK;
	message =
		arena_printf(a,
			     "This gateway key may not use the model '%.*s'. Ask the gateway's "
			     "operator, or choose another of GET /v1/models.",
			     (int)(model.len < 200 ? model.len : 200), model.ptr ? model.ptr : "");
	return refuse(reterr, IR_ERR_PERMISSION, STR("model_not_allowed"),
		      message.ptr ? message : STR("This gateway key may not use that model."));
}
