/* upstream/pass_fields.c - the allow-list of answer fields, and Retry-After in its three spellings. */
#include "upstream/pass_fields.h"

#include <time.h>

enum { DAY_MS = 24 * 3600 * 1000 };

/* When a field is passed on. */
enum pass_when { ALWAYS, RELAY };

struct pass_rule {
	struct str name;
	bool prefix;
	enum pass_when when;
};

static const struct pass_rule rules[] = {
	{ STR_INIT("retry-after"), false, ALWAYS },
	{ STR_INIT("retry-after-ms"), false, ALWAYS },
	{ STR_INIT("x-should-retry"), false, ALWAYS },
	{ STR_INIT("x-ratelimit-"), true, RELAY },
	{ STR_INIT("anthropic-ratelimit-"), true, RELAY },
	{ STR_INIT("openai-processing-ms"), false, RELAY },
	{ STR_INIT("openai-version"), false, RELAY },
};

static bool may_pass(struct str name, bool relay)
{
	char first = name.len ? (char)(*name.ptr | 0x20) : '\0';

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct pass_rule *r = &rules[i];

		if (*r->name.ptr != first || (r->when == RELAY && !relay))
			continue;
		if (r->prefix ? str_istarts(name, r->name) : str_ieq(name, r->name))
			return true;
	}
	return false;
}

static void put_field(struct arena *a, struct attempt_fields *ret, struct str name,
		      struct str value)
{
	struct http_field *f = &ret->fields[ret->n];

	if (ret->n == sizeof(ret->fields) / sizeof(ret->fields[0]) || !http_value_ok(value))
		return;
	f->name = arena_dup(a, name);
	f->value = arena_dup(a, value);
	if (str_present(f->name) && str_present(f->value))
		ret->n++;
}

void pass_fields(struct arena *a, const struct http_head *head, bool relay,
		 struct attempt_fields *ret)
{
	/* The upstream's own request id, so that its support can find the call. */
	struct str upstream_id = http_field_get(head, STR("x-request-id"));

	if (!str_present(upstream_id))
		upstream_id = http_field_get(head, STR("request-id"));
	if (str_present(upstream_id))
		put_field(a, ret, STR("x-llm-gateway-upstream-request-id"), upstream_id);
	for (unsigned i = 0; i < head->n_fields; i++)
		if (may_pass(head->fields[i].name, relay))
			put_field(a, ret, head->fields[i].name, head->fields[i].value);
}

/* IMF-fixdate only ("Sun, 06 Nov 1994 08:49:37 GMT"): what servers must send. */
static int64_t parse_http_date(struct arena *a, struct str text)
{
	struct str copy = arena_dup(a, text);
	struct tm tm = { 0 };
	const char *end;

	if (!copy.ptr)
		return -1;
	end = strptime(copy.ptr, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return end && *end == '\0' ? (int64_t)timegm(&tm) : -1;
}

static int64_t clamp_ms(uint64_t ms)
{
	return ms > DAY_MS ? DAY_MS : (int64_t)ms;
}

int64_t retry_after_ms(const struct http_head *head, int64_t now_s)
{
	struct str ms = http_field_get(head, STR("retry-after-ms"));
	struct str s = http_field_get(head, STR("retry-after"));
	struct arena *a;
	uint64_t n;
	int64_t at;

	if (str_present(ms) && str_to_u64(ms, &n))
		return clamp_ms(n);
	if (!str_present(s) || s.len > 64)
		return -1;
	if (str_to_u64(s, &n))
		return n > DAY_MS / 1000 ? DAY_MS : (int64_t)n * 1000;
	a = arena_new(1024);
	if (!a)
		return -1;
	at = parse_http_date(a, s);
	a = arena_free(a);
	if (at < 0)
		return -1;
	return at <= now_s ? 0 : clamp_ms((uint64_t)(at - now_s) * 1000);
}
