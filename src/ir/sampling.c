/* ir/sampling.c - requests for models that take no sampling. */
#include "ir/sampling.h"

#include "json/json.h"

static const uint64_t sampling = IR_FIELD(temperature) | IR_FIELD(top_p) |
				 IR_FIELD(frequency_penalty) | IR_FIELD(presence_penalty) |
				 IR_FIELD(logprobs) | IR_FIELD(top_logprobs) | IR_FIELD(logit_bias);

static bool is_one(struct str number)
{
	double v;

	return str_present(number) && json_text_f64(number, &v) && v == 1;
}

bool ir_refuses_sampling(enum ir_sampling takes, const struct ir_request *r)
{
	return takes == IR_SAMPLING_NONE || (takes == IR_SAMPLING_AT_REST && ir_asks_reasoning(r));
}

void ir_without_sampling(const struct ir_request *r, struct ir_request *ret, struct ir_losses *l)
{
	*ret = *r;
	if (is_one(ret->temperature))
		ret->temperature = STR_NONE;
	if (is_one(ret->top_p))
		ret->top_p = STR_NONE;
	ir_lose_fields_but(l, ret, ~sampling);
	ret->temperature = ret->top_p = STR_NONE;
	ret->frequency_penalty = ret->presence_penalty = ret->logit_bias = STR_NONE;
	ret->logprobs = IR_TRI_UNSET;
	ret->top_logprobs = IR_UNSET;
	ret->n_stop = 0; /* no loss: the answer is cut there */
}
