
/*
 * Copyright (C) ngx_gateway authors
 */


#define FUZZ_PEM  1

#include "keys.c"
