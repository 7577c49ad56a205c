/* conf/value.c - the texts of values: durations, sizes, truth.
 *
 * A fraction is kept in thousandths, which is exact for what people write; all arithmetic is checked. */
#include "conf/value.h"

struct unit {
	struct str name;
	uint64_t times;
};

/* digits [. digits] blank? unit, in thousandths of 1. */
static bool number_with_unit(struct str s, const struct unit *units, uint64_t *ret)
{
	size_t i = 0;
	uint64_t whole, milli = 0, scale = 100;
	struct str unit;

	s = str_trim(s);
	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	if (i == 0 || !str_to_u64((struct str){ s.ptr, i }, &whole))
		return false;
	if (i < s.len && s.ptr[i] == '.') {
		size_t from = ++i;

		for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++, scale /= 10)
			milli += (uint64_t)(s.ptr[i] - '0') * scale;
		if (i == from || i - from > 3)
			return false;
	}
	unit = str_trim(str_from_offset(s, i));
	for (; str_present(units->name); units++) {
		if (!str_eq(units->name, unit))
			continue;
		if (whole > (UINT64_MAX / 1000 - 999) / units->times)
			return false;
		*ret = whole * units->times + milli * units->times / 1000;
		return true;
	}
	return false;
}

bool value_duration(struct str s, uint64_t *ret_ms)
{
	static const struct unit units[] = {
		{ STR_INIT("ms"), 1 },    { STR_INIT("s"), 1000 },    { STR_INIT(""), 1000 },
		{ STR_INIT("m"), 60000 }, { STR_INIT("h"), 3600000 }, { { NULL, 0 }, 0 },
	};

	return number_with_unit(s, units, ret_ms);
}

bool value_size(struct str s, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ STR_INIT(""), 1 },           { STR_INIT("B"), 1 },
		{ STR_INIT("KiB"), 1u << 10 }, { STR_INIT("MiB"), 1u << 20 },
		{ STR_INIT("GiB"), 1u << 30 }, { { NULL, 0 }, 0 },
	};

	return number_with_unit(s, units, ret_bytes);
}

bool value_bool(struct str s, bool *ret)
{
	static const struct {
		struct str text;
		bool value;
	} words[] = {
		{ STR_INIT("true"), true }, { STR_INIT("false"), false },
		{ STR_INIT("yes"), true },  { STR_INIT("no"), false },
		{ STR_INIT("on"), true },   { STR_INIT("off"), false },
		{ STR_INIT("1"), true },    { STR_INIT("0"), false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_ieq(words[i].text, s)) {
			*ret = words[i].value;
			return true;
		}
	return false;
}
