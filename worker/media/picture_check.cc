// The child is a fork without exec, so that any binary can have one. It has threads of its parent's missing,
// and whatever lock one of those held stays locked; so it touches nothing but the decoders (which the parent
// never opens, so that no thread can be in the middle of their first use) and malloc (which glibc unlocks in
// the child).
#include "worker/media/picture_check.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/steady.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

constexpr int kAtATime = 2;
constexpr size_t kMaxReplyBytes = 4096;

absl::Status TooMuchMemory() {
  return absl::InvalidArgumentError("the picture takes too much memory to decode");
}

// Bounds how many children there are.
class Turns {
 public:
  bool Take(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return taken_ < kAtATime; };
    if (!changed_.AwaitUntil(&mu_, deadline, free)) return false;
    ++taken_;
    return true;
  }
  void Return() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    --taken_;
    changed_.Notify();
  }

 private:
  absl::Mutex mu_;
  SteadyCondition changed_;
  int taken_ ABSL_GUARDED_BY(mu_) = 0;
};

Turns& TheTurns() {
  static auto* turns = new Turns;
  return *turns;
}

// Bytes of address space that this process has and uses; 0 if that is unknown.
int64_t AddressSpace() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
  std::fclose(file);
  // What malloc keeps for later is the child's to use as well.
  return int64_t{pages} * sysconf(_SC_PAGESIZE) - static_cast<int64_t>(mallinfo2().fordblks);
}

void Limit(decltype(RLIMIT_AS) resource, int64_t value) {
  // Past the soft limit of time comes SIGXCPU, past the hard one SIGKILL, which would say nothing.
  const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value + 1)};
  setrlimit(resource, &limit);
}

// In the child: the status as a line for the parent.
std::string Try(std::string_view bytes) {
  absl::Status status;
  try {
    status = DecodePicture(bytes).status();
  } catch (const std::bad_alloc&) {
    status = TooMuchMemory();
  } catch (const std::exception&) {
    status = absl::InternalError("the picture cannot be decoded");
  }
  if (absl::IsResourceExhausted(status)) status = TooMuchMemory();
  return absl::StrCat(std::string(1, static_cast<char>('0' + static_cast<int>(status.code()))),
                      status.message());
}

[[noreturn]] void RunChild(std::string_view bytes, const PictureLimits& limits, int64_t parent_space,
                           int reply) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int crash : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGXCPU}) signal(crash, SIG_DFL);
  // The parent's files and sockets are none of the decoder's business, and it opens none.
  dup2(reply, STDIN_FILENO);
  close(STDOUT_FILENO);
  close_range(STDERR_FILENO + 1, UINT_MAX, 0);
  Limit(RLIMIT_NOFILE, 0);
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_CPU, limits.cpu_seconds);
  if (parent_space > 0) Limit(RLIMIT_AS, parent_space + limits.memory);
  const std::string result = Try(bytes).substr(0, kMaxReplyBytes);
  const ssize_t written = write(STDIN_FILENO, result.data(), result.size());
  _exit(written == static_cast<ssize_t>(result.size()) ? 0 : 1);
}

// All that the child says until it ends; DEADLINE_EXCEEDED if it does not.
absl::StatusOr<std::string> ReadReply(int reply, absl::Time deadline) {
  std::string text;
  while (true) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - SteadyNow());
    pollfd wanted{reply, POLLIN, 0};
    const int ready = poll(&wanted, 1, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return absl::DeadlineExceededError("");
    char buffer[512];
    const ssize_t got = read(reply, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

// How the child ended, as waitpid tells it.
int Reap(pid_t child) {
  int how = 0;
  while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  return how;
}

absl::Status StatusOf(const std::string& reply, int how) {
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0 && !reply.empty()) {
    return {static_cast<absl::StatusCode>(reply[0] - '0'), absl::string_view(reply).substr(1)};
  }
  const int killer = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
  if (killer == SIGXCPU) return absl::InvalidArgumentError("the picture takes too long to decode");
  if (killer == SIGKILL) return TooMuchMemory();  // the kernel's choice when memory runs out
  return absl::InvalidArgumentError("the picture cannot be decoded: it crashes the decoder");
}

}  // namespace

absl::Status CheckPicture(std::string_view bytes, const PictureLimits& limits) {
  const absl::Time deadline = SteadyNow() + limits.wait;
  const absl::Status busy = absl::UnavailableError("pictures cannot be looked at in time; try again");
  if (!TheTurns().Take(deadline)) return busy;
  const absl::Cleanup give_back = [] { TheTurns().Return(); };
  SilenceFfmpeg();  // done once: not to be in the middle of it in another thread
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("no pipe for decoding a picture");
  const int64_t space = AddressSpace();
  const pid_t child = fork();
  if (child == 0) RunChild(bytes, limits, space, ends[1]);
  close(ends[1]);
  const absl::Cleanup close_pipe = [&] { close(ends[0]); };
  if (child < 0) return absl::InternalError("no process for decoding a picture");
  const absl::StatusOr<std::string> reply = ReadReply(ends[0], deadline);
  if (!reply.ok()) kill(child, SIGKILL);
  const int how = Reap(child);
  return reply.ok() ? StatusOf(*reply, how) : busy;
}

}  // namespace svi::media
