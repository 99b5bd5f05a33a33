// Tells ThreadSanitizer what Debian's abseil does not: that library is built without it, so that TSan sees
// none of absl::Mutex's atomics and takes all that a mutex guards for a race. The functions here stand in
// front of the library's (this shared library is loaded before it), call them, and say what happens before
// what. gRPC's own mutexes are absl::Mutex too, and so count as well.
//
// Coarser than TSan's own view of mutexes: no deadlock detection, and a reader's unlock also counts as a
// release.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace {

template <typename Function>
Function Next(const char* symbol) {
  void* found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) {
    std::fprintf(stderr, "absl_synchronization: no %s behind this library\n", symbol);
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

// Whoever unlocks a mutex evaluates the conditions of its waiters, which may have come just then. It holds
// the mutex itself meanwhile, but TSan has to be told of the release before it, as others may go on at once
// after it.
class InsideAbsl {
 public:
  InsideAbsl() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~InsideAbsl() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
};

// A wait: the mutex is free meanwhile.
template <typename Wait>
auto Waiting(void* mutex, Wait wait) {
  __tsan_release(mutex);
  const auto result = [&] {
    const InsideAbsl here;
    return wait();
  }();
  __tsan_acquire(mutex);
  return result;
}

// `this` and arguments as the library's functions take them (Itanium C++ ABI).
#define SVI_NEXT(symbol, Result, ...) static const auto next = Next<Result (*)(__VA_ARGS__)>(symbol)

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

#define SVI_ABSL "_ZN4absl7debian3"
#define SVI_ABSL_CONST "_ZNK4absl7debian3"

void Mutex::Lock() {
  SVI_NEXT(SVI_ABSL "5Mutex4LockEv", void, Mutex*);
  next(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  SVI_NEXT(SVI_ABSL "5Mutex6UnlockEv", void, Mutex*);
  __tsan_release(this);
  const InsideAbsl here;
  next(this);
}

bool Mutex::TryLock() {
  SVI_NEXT(SVI_ABSL "5Mutex7TryLockEv", bool, Mutex*);
  const bool locked = next(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::ReaderLock() {
  SVI_NEXT(SVI_ABSL "5Mutex10ReaderLockEv", void, Mutex*);
  next(this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  SVI_NEXT(SVI_ABSL "5Mutex12ReaderUnlockEv", void, Mutex*);
  __tsan_release(this);
  const InsideAbsl here;
  next(this);
}

bool Mutex::ReaderTryLock() {
  SVI_NEXT(SVI_ABSL "5Mutex13ReaderTryLockEv", bool, Mutex*);
  const bool locked = next(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::LockWhen(const Condition& condition) {
  SVI_NEXT(SVI_ABSL "5Mutex8LockWhenERKNS0_9ConditionE", void, Mutex*, const Condition&);
  Waiting(this, [&] { return next(this, condition), true; });
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  SVI_NEXT(SVI_ABSL "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool, Mutex*,
           const Condition&, Time);
  return Waiting(this, [&] { return next(this, condition, deadline); });
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  SVI_NEXT(SVI_ABSL "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool, Mutex*,
           const Condition&, Duration);
  return Waiting(this, [&] { return next(this, condition, timeout); });
}

void Mutex::Await(const Condition& condition) {
  SVI_NEXT(SVI_ABSL "5Mutex5AwaitERKNS0_9ConditionE", void, Mutex*, const Condition&);
  Waiting(this, [&] { return next(this, condition), true; });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  SVI_NEXT(SVI_ABSL "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool, Mutex*, const Condition&,
           Time);
  return Waiting(this, [&] { return next(this, condition, deadline); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  SVI_NEXT(SVI_ABSL "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool, Mutex*,
           const Condition&, Duration);
  return Waiting(this, [&] { return next(this, condition, timeout); });
}

void CondVar::Wait(Mutex* mutex) {
  SVI_NEXT(SVI_ABSL "7CondVar4WaitEPNS0_5MutexE", void, CondVar*, Mutex*);
  Waiting(mutex, [&] { return next(this, mutex), true; });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  SVI_NEXT(SVI_ABSL "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", bool, CondVar*, Mutex*, Time);
  return Waiting(mutex, [&] { return next(this, mutex, deadline); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  SVI_NEXT(SVI_ABSL "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", bool, CondVar*, Mutex*, Duration);
  return Waiting(mutex, [&] { return next(this, mutex, timeout); });
}

// HasBeenNotified is inline and reads the flag behind the mutex.
void Notification::Notify() {
  SVI_NEXT(SVI_ABSL "12Notification6NotifyEv", void, Notification*);
  __tsan_release(reinterpret_cast<char*>(this) + sizeof(Mutex));
  next(this);
}

void Notification::WaitForNotification() const {
  SVI_NEXT(SVI_ABSL_CONST "12Notification19WaitForNotificationEv", void, const Notification*);
  next(this);
  (void)HasBeenNotified();
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  SVI_NEXT(SVI_ABSL_CONST "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE", bool,
           const Notification*, Duration);
  next(this, timeout);
  return HasBeenNotified();
}

ABSL_NAMESPACE_END
}  // namespace absl
