// LD_PRELOAD: a process whose clock a test sets while it runs, as `date --set` would, without touching the
// machine's. SVI_CLOCK_FILE names a file with the difference to the real time: nanoseconds, an int64_t.
//
// Debian's libfaketime does not do: abseil waits by futex until a point of CLOCK_REALTIME, which libfaketime
// lets through to the kernel, so that a wait of a tenth of a second would last as long as the clock was moved
// forwards. Here such waits end, as the kernel's do, when the clock of the process says so. CLOCK_MONOTONIC
// is left alone.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace {

constexpr int64_t kSecond = 1'000'000'000;
// A wait looks at the clock again after this long, since it may have been set.
constexpr int64_t kLook = kSecond / 50;

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int64_t Offset() {
  static const std::atomic<int64_t>* const shared = [] {
    static const std::atomic<int64_t> none{0};
    const char* const path = getenv("SVI_CLOCK_FILE");
    const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return &none;
    void* const mapped = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return mapped == MAP_FAILED ? &none : static_cast<const std::atomic<int64_t>*>(mapped);
  }();
  return shared->load();
}

int64_t ToNanos(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
timespec ToTimespec(int64_t nanos) {
  return {static_cast<time_t>(nanos / kSecond), static_cast<long>(nanos % kSecond)};
}

int64_t RealNow() {
  static auto* const real = Next<int(clockid_t, timespec*)>("clock_gettime");
  timespec now;
  real(CLOCK_REALTIME, &now);
  return ToNanos(now);
}

// Waits by `wait_until(real deadline)`, which returns an errno, until the process's clock says `deadline`.
template <typename Wait>
int WaitByOurClock(const timespec& deadline, Wait wait_until) {
  while (true) {
    const int64_t now = RealNow();
    const int64_t left = ToNanos(deadline) - Offset() - now;
    const timespec until = ToTimespec(now + std::clamp<int64_t>(left, 0, kLook));
    const int error = wait_until(&until);
    if (error != ETIMEDOUT || left <= kLook) return error;
  }
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
  static auto* const real = Next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = ToTimespec(ToNanos(*time) + Offset());
  }
  return result;
}

int gettimeofday(timeval* time, void*) {
  const int64_t now = RealNow() + Offset();
  time->tv_sec = now / kSecond;
  time->tv_usec = now % kSecond / 1000;
  return 0;
}

time_t time(time_t* out) {
  const time_t now = (RealNow() + Offset()) / kSecond;
  if (out != nullptr) *out = now;
  return now;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* deadline) {
  static auto* const real =
      Next<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>("pthread_cond_clockwait");
  return WaitByOurClock(*deadline,
                        [&](const timespec* until) { return real(condition, mutex, CLOCK_REALTIME, until); });
}

// abseil's only way to wait.
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  static auto* const real = Next<long(long, ...)>("syscall");
  const auto* const deadline = reinterpret_cast<const timespec*>(a[3]);
  if (number != SYS_futex || (a[1] & FUTEX_CLOCK_REALTIME) == 0 || deadline == nullptr) {
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  const int error = WaitByOurClock(*deadline, [&](const timespec* until) {
    return real(number, a[0], a[1], a[2], until, a[4], a[5]) == 0 ? 0 : errno;
  });
  if (error == 0) return 0;
  errno = error;
  return -1;
}

}  // extern "C"
