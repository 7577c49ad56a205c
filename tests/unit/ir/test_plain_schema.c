/* tests/unit/ir/test_plain_schema.c - mirrors src/ir/plain_schema.c.
 * Rule: only words that llama.cpp makes a grammar of, and nothing that the whole schema allows is forbidden. */
#include "check.h"
#include "ir/plain_schema.h"
#include "quotes.h"

static const struct {
	const char *schema, *base, *plain;
} rows[] = {
	{ "{}", "", "{'type':'object','properties':{}}" },
	{ "{'type':'object','properties':{'a':{'type':'string','pattern':'x','format':'uri','"
	  "description':'d'}},"
	  "'required':['a'],'additionalProperties':false,'$schema':'s'}",
	  "",
	  "{'type':'object','properties':{'a':{'type':'string'}},'required':['a'],'"
	  "additionalProperties':false}" },
	{ "{'properties':{'a':true,'b':{'type':'any'},'c':{'type':['integer','null'],'minimum':1}}"
	  "}",
	  "", "{'type':'object','properties':{'a':{},'b':{},'c':{'type':['integer','null']}}}" },
	{ "{'type':'object','properties':{'a':{'type':'string'}},'anyOf':[{'required':['a']}]}", "",
	  "{'type':'object','properties':{'a':{'type':'string'}}}" },
	{ "{'properties':{'a':{'oneOf':[{'type':'string'},{'$ref':'#/$defs/"
	  "n'}]}},'$defs':{'n':{'$ref':'#'}}}",
	  "/$defs/t3",
	  "{'type':'object','properties':{'a':{'anyOf':[{'type':'string'},{'$ref':'#/$defs/t3/"
	  "$defs/n'}]}},"
	  "'$defs':{'n':{}}}" },
	{ "{'$ref':'#/definitions/"
	  "x','definitions':{'x':{'type':'object','properties':{'k':{'const':1.50}}}}}",
	  "",
	  "{'$ref':'#/definitions/"
	  "x','definitions':{'x':{'type':'object','properties':{'k':{'const':1.50}}}}}" },
	{ "{'properties':{'l':{'type':'array','items':{'enum':['a',2]},'minItems':1,'maxItems':"
	  "100000},"
	  "'t':{'type':'array','items':[{'type':'null'}]},'s':{'type':'string','minLength':2,'"
	  "maxLength':65536}}}",
	  "",
	  "{'type':'object','properties':{'l':{'type':'array','items':{'enum':['a',2]},'minItems':"
	  "1},"
	  "'t':{'type':'array','prefixItems':[{'type':'null'}]},'s':{'type':'string','minLength':2}"
	  "}}" },
	{ "{'properties':{'h':{'type':'integer','minimum':0,'maximum':23},'f':{'type':'number','"
	  "minimum':0.5}}}",
	  "",
	  "{'type':'object','properties':{'h':{'type':'integer','minimum':0,'maximum':23},'f':{'"
	  "type':'number'}}}" },
	{ "{'allOf':[{'type':'object','properties':{'a':{'type':'null'}}}]}", "",
	  "{'allOf':[{'type':'object','properties':{'a':{'type':'null'}}}]}" },
	{ "{'properties':{'m':{'type':'object','additionalProperties':{'type':'number'}}}}", "",
	  "{'type':'object','properties':{'m':{'type':'object','properties':{},'"
	  "additionalProperties':"
	  "{'type':'number'}}}}" },
};

static void words_an_engine_refuses_are_left_out(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&out);
		ir_plain_schema(&out, json_parse(a, quotes(a, rows[i].schema), NULL),
				str_from(rows[i].base));
		CHECK_STR_IS(buf_str(&out), quotes(a, rows[i].plain));
	}
	buf_reset(&out);
	ir_plain_schema(&out, NULL, STR(""));
	CHECK_STR(buf_str(&out), "{\"type\":\"object\",\"properties\":{}}");
	buf_done(&out);
	arena_free(a);
}

static void a_schema_of_any_depth_has_an_end(void **state)
{
	struct arena *a = arena_new(4 << 20);
	struct buf in, out;
	const json *plain;

	(void)state;
	buf_init(&in, 1 << 16);
	buf_init(&out, 1 << 16);
	for (int i = 0; i < 100; i++)
		buf_puts(&in, "{\"properties\":{\"a\":");
	buf_puts(&in, "{}");
	for (int i = 0; i < 100; i++)
		buf_puts(&in, "}}");
	ir_plain_schema(&out, json_parse(a, buf_str(&in), NULL), STR(""));
	plain = json_parse(a, buf_str(&out), NULL);
	assert_true(json_is_obj(plain));
	buf_done(&in);
	buf_done(&out);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_an_engine_refuses_are_left_out),
		cmocka_unit_test(a_schema_of_any_depth_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
