
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * Feeds files to a target and prints what has become of each, for where there
 * is no libFuzzer.
 */


#include "fuzz.h"


static int fuzz_file(const char *name);


int
main(int argc, char **argv)
{
    int  i;

    for (i = 1; i < argc; i++) {
        if (fuzz_file(argv[i]) != 0) {
            return 1;
        }
    }

    return 0;
}


static int
fuzz_file(const char *name)
{
    char    *data;
    FILE    *file;
    size_t   size;

    static char  buf[1024 * 1024];

    file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        return 1;
    }

    size = fread(buf, 1, sizeof(buf), file);
    fclose(file);

    data = malloc(size);
    if (data == NULL) {
        perror(name);
        return 1;
    }

    memcpy(data, buf, size);

    printf("%s: ", name);
    fflush(stdout);

    (void) LLVMFuzzerTestOneInput((uint8_t *) data, size);

    printf("%s\n", fuzz_outcome);
    free(data);

    return 0;
}
