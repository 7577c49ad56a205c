/* conf/account.h - what accounts.c (which accounts there are) and account.c (what one of them says) share. Private to conf/. */
#ifndef GW_CONF_ACCOUNT_H
#define GW_CONF_ACCOUNT_H

#include "conf/load.h"

enum { ACCOUNT_NAME_MAX = 64 };

/* An account before it is read. */
struct account_draft {
	struct str name;
	const struct yaml_node *key, *map; /* NULL: not from the file */
	bool automatic;                    /* from the variables of its kind alone */
};

/* Fills `acc`; every problem is in the loader's report. */
void account_read(struct loader *l, const struct account_draft *d, struct account *acc);

/* What the environment has for a kind's key; absent: nothing. */
struct str account_key_variable(struct loader *l, const struct provider *kind);

/* The key of a provider that stands after NAME_ in `rest`, which is what follows LLM_GATEWAY_PROVIDERS_; N_MEMBERS when it is none
 * that a variable can give. */
enum conf_member account_var_member(struct str name, struct str rest);

#endif
