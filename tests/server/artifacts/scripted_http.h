// An HTTP server that answers what the test says, for faults that no real server shows on demand.
#ifndef SVI_TESTS_SERVER_ARTIFACTS_SCRIPTED_HTTP_H_
#define SVI_TESTS_SERVER_ARTIFACTS_SCRIPTED_HTTP_H_

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace svi {

class ScriptedHttp {
 public:
  // Answers the first request with the first of `answers` (all of it, from "HTTP/1.1 …" on), and so on, each
  // on a connection of its own; the last one from then on. An empty answer: the connection is closed without
  // one.
  explicit ScriptedHttp(std::deque<std::string> answers) : answers_(std::move(answers)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ScriptedHttp() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string endpoint() const { return absl::StrCat("http://127.0.0.1:", port_); }
  // Heads of the requests so far.
  std::vector<std::string> requests() const {
    absl::MutexLock lock(&mu_);
    return requests_;
  }

  static std::string Answer(const std::string& status, const std::string& body = "",
                            const std::string& headers = "") {
    return absl::StrCat("HTTP/1.1 ", status, "\r\nConnection: close\r\nContent-Length: ", body.size(), "\r\n",
                        headers, "\r\n", body);
  }
  static std::string Error(const std::string& status, const std::string& code) {
    return Answer(status, absl::StrCat("<Error><Code>", code, "</Code></Error>"));
  }

 private:
  void Serve() {
    while (true) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      const std::string head = ReadRequest(connection);
      std::string answer;
      {
        absl::MutexLock lock(&mu_);
        requests_.push_back(head);
        answer = answers_.front();
        if (answers_.size() > 1) answers_.pop_front();
      }
      (void)!write(connection, answer.data(), answer.size());
      close(connection);
    }
  }

  static std::string ReadRequest(int connection) {
    std::string text;
    char buffer[4096];
    size_t end = std::string::npos;
    size_t length = 0;
    while (end == std::string::npos || text.size() < end + 4 + length) {
      const ssize_t got = read(connection, buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
      if (end != std::string::npos) continue;
      end = text.find("\r\n\r\n");
      const size_t at = text.find("Content-Length: ");
      if (end != std::string::npos && at < end) {
        (void)absl::SimpleAtoi(text.substr(at + 16, text.find('\r', at) - at - 16), &length);
        constexpr char kGoOn[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (absl::StrContains(text, "Expect: 100")) (void)!write(connection, kGoOn, sizeof kGoOn - 1);
      }
    }
    return text.substr(0, end);
  }

  int listener_ = -1;
  int port_ = 0;
  mutable absl::Mutex mu_;
  std::deque<std::string> answers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace svi

#endif  // SVI_TESTS_SERVER_ARTIFACTS_SCRIPTED_HTTP_H_
