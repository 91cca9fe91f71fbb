/* Stands in for libcuda.so.1 where there is no GPU: the driver functions that cuda-core and engines/cuda.py call, over host
   memory. A capture records copies on the device and does them when its graph is launched. `simulate_failure` makes a function
   fail, `count_calls` says how often one was called. */
#include <stdlib.h>
#include <string.h>
#include <stdint.h>

typedef int CUresult;
typedef unsigned long long ptr;
enum { OK = 0, INVALID = 1, NOT_FOUND = 500, UNSUPPORTED_IN_CAPTURE = 900, INVALIDATED = 901 };

static CUresult called(const char *name);
#define CALLED(name) do { CUresult failed = called(#name); if (failed) return failed; } while (0)

static int capturing, invalid, current;          /* of the one stream; whether the context is current on some thread */
static __thread int mine;                        /* whether it is current on this one */
struct copy { void *to, *from; size_t size; };
struct graph { struct copy copies[64]; int count; } *recorded;
static double clock_ms;
static size_t held;

static CUresult cuInit(unsigned f) { CALLED(cuInit); return OK; }
static CUresult cuDriverGetVersion(int *v) { *v = 13000; return OK; }
static CUresult cuDeviceGetCount(int *n) { *n = 1; return OK; }
static CUresult cuDeviceGet(int *d, int i) { *d = i; return i == 0 ? OK : 101; }
static CUresult cuDeviceGetAttribute(int *v, int a, int d) { *v = 1; return OK; }
static CUresult cuDevicePrimaryCtxRetain(void **c, int d) { CALLED(cuDevicePrimaryCtxRetain); *c = &current; return OK; }
static CUresult cuDevicePrimaryCtxRelease(int d) { return OK; }
static CUresult cuCtxSetCurrent(void *c) { mine = c != 0; return OK; }
static CUresult cuCtxGetCurrent(void **c) { *c = mine ? &current : 0; return OK; }
static CUresult cuCtxPushCurrent(void *c) { mine = 1; return OK; }
static CUresult cuCtxPopCurrent(void **c) { *c = &current; return OK; }
static CUresult cuCtxGetDevice(int *d) { *d = 0; return OK; }
static CUresult cuCtxGetId(void *c, unsigned long long *i) { *i = 7; return OK; }
static CUresult cuCtxGetStreamPriorityRange(int *low, int *high) { *low = 2; *high = -5; return mine ? OK : 201; }
static CUresult cuCtxSynchronize(void) { CALLED(cuCtxSynchronize); return capturing ? UNSUPPORTED_IN_CAPTURE : OK; }
static int priority;
static CUresult cuStreamCreateWithPriority(void **s, unsigned f, int p) { *s = (void *)0x5000; priority = p; return mine ? OK : 201; }
static CUresult cuStreamGetPriority(void *s, int *p) { *p = priority; return OK; }
static CUresult cuStreamDestroy(void *s) { CALLED(cuStreamDestroy); return OK; }
static CUresult cuStreamGetCtx(void *s, void **c) { *c = &current; return OK; }
static CUresult cuStreamSynchronize(void *s) {
    CALLED(cuStreamSynchronize);
    if (capturing) { invalid = 1; return UNSUPPORTED_IN_CAPTURE; }
    return mine ? OK : 201;
}
static CUresult cuMemAlloc(ptr *p, size_t n) {
    CALLED(cuMemAlloc);
    if (!mine) return 201;
    if (n > (1u << 30)) return 2;
    *p = (ptr)(uintptr_t)aligned_alloc(256, (n + 255) / 256 * 256);
    held += n;
    return OK;
}
static CUresult cuMemFree(ptr p) { CALLED(cuMemFree); free((void *)(uintptr_t)p); return OK; }
static CUresult cuMemHostAlloc(void **p, size_t n, unsigned f) {
    CALLED(cuMemHostAlloc);
    *p = malloc(n);
    return mine && !capturing ? OK : 201;
}
static CUresult cuMemFreeHost(void *p) { CALLED(cuMemFreeHost); free(p); return OK; }
static CUresult cuMemGetInfo(size_t *f, size_t *t) { *t = 1u << 30; *f = *t - held; return OK; }
static CUresult cuMemcpyHtoDAsync(ptr to, const void *from, size_t n, void *s) {
    CALLED(cuMemcpyHtoDAsync);
    if (capturing) { invalid = 1; return UNSUPPORTED_IN_CAPTURE; }
    memcpy((void *)(uintptr_t)to, from, n);
    return s == (void *)0x5000 ? OK : INVALID;
}
static CUresult cuMemcpyDtoHAsync(void *to, ptr from, size_t n, void *s) {
    CALLED(cuMemcpyDtoHAsync);
    memcpy(to, (void *)(uintptr_t)from, n);
    return s == (void *)0x5000 ? OK : INVALID;
}
static CUresult cuMemcpyDtoDAsync(ptr to, ptr from, size_t n, void *s) {
    CALLED(cuMemcpyDtoDAsync);
    struct copy copy = {(void *)(uintptr_t)to, (void *)(uintptr_t)from, n};
    if (capturing) recorded->copies[recorded->count++] = copy; else memcpy(copy.to, copy.from, n);
    clock_ms += 2.0;
    return s == (void *)0x5000 ? OK : INVALID;
}
static CUresult cuEventCreate(double **e, unsigned f) { *e = malloc(sizeof **e); return f & 2 ? INVALID : OK; }
static CUresult cuEventRecord(double *e, void *s) { *e = clock_ms; return OK; }
static CUresult cuEventSynchronize(double *e) { CALLED(cuEventSynchronize); return OK; }
static CUresult cuEventElapsedTime(float *ms, double *a, double *b) { *ms = (float)(*b - *a); return OK; }
static CUresult cuEventDestroy(double *e) { free(e); return OK; }
static CUresult cuStreamBeginCapture(void *s, int mode) {
    CALLED(cuStreamBeginCapture);
    if (capturing || mode != 1) return INVALID;  /* thread-local */
    capturing = 1; invalid = 0; recorded = calloc(1, sizeof *recorded);
    return OK;
}
static CUresult cuStreamGetCaptureInfo(void *s, int *status, unsigned long long *id, void **g, const void ***d, const void **e, size_t *n) {
    if (status) *status = capturing ? invalid ? 2 : 1 : 0;
    if (g) *g = recorded;
    if (n) *n = 0;
    return OK;
}
static CUresult cuStreamIsCapturing(void *s, int *status) { *status = capturing ? invalid ? 2 : 1 : 0; return OK; }
static CUresult cuStreamEndCapture(void *s, void **g) {
    CALLED(cuStreamEndCapture);
    if (!capturing) return 401;
    capturing = 0;
    if (g) *g = invalid ? 0 : recorded;
    return invalid ? INVALIDATED : OK;
}
static CUresult cuGraphInstantiateWithParams(void **x, void *g, void *p) {
    CALLED(cuGraphInstantiateWithParams);
    struct graph *copy = malloc(sizeof *copy);
    *copy = *(struct graph *)g;
    *x = copy;
    return OK;
}
static CUresult cuGraphUpload(struct graph *g, void *s) { CALLED(cuGraphUpload); return s == (void *)0x5000 ? OK : INVALID; }
static CUresult cuGraphLaunch(struct graph *g, void *s) {
    CALLED(cuGraphLaunch);
    for (int i = 0; i < g->count; i++) memcpy(g->copies[i].to, g->copies[i].from, g->copies[i].size);
    clock_ms += 1.0;
    return s == (void *)0x5000 ? OK : INVALID;
}
static CUresult cuGraphExecDestroy(void *g) { CALLED(cuGraphExecDestroy); return OK; }
static CUresult cuGraphDestroy(void *g) { CALLED(cuGraphDestroy); return OK; }
static CUresult cuUserObjectCreate(void **o, void *p, void (*destroy)(void *), unsigned n, unsigned f) { *o = p; return OK; }
static CUresult cuUserObjectRelease(void *o, unsigned n) { return OK; }
static CUresult cuGraphRetainUserObject(void *g, void *o, unsigned n, unsigned f) { return OK; }
static CUresult cuGraphReleaseUserObject(void *g, void *o, unsigned n) { return OK; }
static CUresult cuGetErrorName(int e, const char **s) { *s = e == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_OF_SOME_KIND"; return OK; }
static CUresult cuGetErrorString(int e, const char **s) { *s = "some error"; return OK; }

#define F(name) {#name, (void *)name}
static struct { const char *name; void *function; int calls, fails; } table[] = {
    F(cuInit), F(cuDriverGetVersion), F(cuDeviceGetCount), F(cuDeviceGet), F(cuDeviceGetAttribute), F(cuDevicePrimaryCtxRetain),
    F(cuDevicePrimaryCtxRelease), F(cuCtxSetCurrent), F(cuCtxGetCurrent), F(cuCtxPushCurrent), F(cuCtxPopCurrent), F(cuCtxGetDevice),
    F(cuCtxGetId), F(cuCtxGetStreamPriorityRange), F(cuCtxSynchronize), F(cuStreamCreateWithPriority), F(cuStreamDestroy), F(cuStreamGetCtx), F(cuStreamGetPriority),
    F(cuMemHostAlloc), F(cuMemFreeHost), F(cuGraphUpload),
    F(cuStreamSynchronize), F(cuMemAlloc), F(cuMemFree), F(cuMemGetInfo), F(cuMemcpyHtoDAsync), F(cuMemcpyDtoHAsync), F(cuMemcpyDtoDAsync),
    F(cuEventCreate), F(cuEventRecord), F(cuEventSynchronize), F(cuEventElapsedTime), F(cuEventDestroy), F(cuStreamBeginCapture),
    F(cuStreamGetCaptureInfo), F(cuStreamIsCapturing), F(cuStreamEndCapture), F(cuGraphInstantiateWithParams), F(cuGraphLaunch),
    F(cuGraphExecDestroy), F(cuGraphDestroy), F(cuUserObjectCreate), F(cuUserObjectRelease), F(cuGraphRetainUserObject),
    F(cuGraphReleaseUserObject), F(cuGetErrorName), F(cuGetErrorString), {0}};

static int find(const char *name) {
    int i = 0;
    while (table[i].name && strcmp(table[i].name, name)) i++;
    return i;
}
static CUresult called(const char *name) { int i = find(name); table[i].calls++; return table[i].fails; }
void simulate_failure(const char *name, int code) { table[find(name)].fails = code; }
int count_calls(const char *name) { return table[find(name)].calls; }
CUresult cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *status) {
    *function = table[find(name)].function;
    if (status) *status = *function ? 0 : 1;
    return *function ? OK : NOT_FOUND;
}
CUresult cuGetProcAddress(const char *name, void **function, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}
