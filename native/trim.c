/*
 * trim: one function for Node, which gives the pages of freed memory back to the system. glibc keeps what lies between blocks in use, and
 * screens are many small blocks: of 300 MiB that fifty of them had taken, 280 stayed. Other C libraries return it by themselves, and this
 * is not built there.
 *
 * Node-API's binary interface never changes, so what is used of it is declared here and no header of Node's is needed.
 */
#include <stddef.h>
#include <stdlib.h>

#ifndef __GLIBC__
#error "only glibc needs this"
#endif
#include <malloc.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);

static napi_value trim(napi_env env, napi_callback_info info) {
    (void)env;
    (void)info;
    malloc_trim(0);
    return NULL;
}

/* The module is the function itself. */
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    napi_value function;
    return napi_create_function(env, "trim", 4, trim, NULL, &function) == 0 ? function : exports;
}
