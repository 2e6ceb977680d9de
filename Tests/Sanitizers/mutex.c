// Preloaded under ThreadSanitizer, so that it sees what a contended Mutex of Swift's orders.
//
// The uncontended path is inlined where it is used, and instrumented there. The contended one is in Swift's own library,
// which is not, and ends in the kernel (FUTEX_LOCK_PI), which takes and passes on the lock unseen: without this, whatever
// a Mutex guards would be reported. These go before the library's functions, call them, and say what they have done.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

SWIFT void poolbus_lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT bool poolbus_try(SELF) __asm__(TRY);
SWIFT void poolbus_unlock(SELF) __asm__(UNLOCK);

// The test fails to start, rather than to see, when a release of Swift calls them something else.
static void *original(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) abort();
  return function;
}

SWIFT void poolbus_lock(uint32_t thread, SELF) {
  ((SWIFT void (*)(uint32_t, SELF))original(LOCK))(thread, self);
  if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT bool poolbus_try(SELF) {
  bool isLocked = ((SWIFT bool (*)(SELF))original(TRY))(self);
  if (isLocked && __tsan_acquire) __tsan_acquire(self);
  return isLocked;
}

SWIFT void poolbus_unlock(SELF) {
  if (__tsan_release) __tsan_release(self);
  ((SWIFT void (*)(SELF))original(UNLOCK))(self);
}
