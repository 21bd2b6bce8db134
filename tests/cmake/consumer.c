/* A C program that knows nothing but kv.h. */
#include <kv.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    kv_store_t *store = NULL;
    kv_value_t *value = NULL;
    int same;

    if (kv_abi_version() != KV_ABI_VERSION) return 1;
    if (kv_open(NULL, NULL, &store, NULL) != KV_OK) return 2;
    if (kv_set(store, "key", 3, "value", 5, 60000) != KV_OK) return 3;
    if (kv_get(store, "key", 3, &value) != KV_OK) return 4;
    same = kv_value_len(value) == 5 && memcmp(kv_value_data(value), "value", 5) == 0;
    kv_value_free(value);
    if (!same) return 5;
    if (kv_get(store, "none", 4, &value) != KV_NOT_FOUND) return 6;
    if (kv_close(store, NULL) != KV_OK) return 7;
    printf("libkv %s works in C\n", kv_version());
    return 0;
}
