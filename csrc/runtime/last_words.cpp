// What a process of a job says when it is told to end.

#include <errno.h>
#include <pybind11/pybind11.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>

namespace py = pybind11;

namespace weft {

void add_last_words(py::module_& module);  // for module.cpp

namespace {

// Written by a signal handler: Python's handlers run only when its main thread comes to them, which may wait inside MPI
// or compute for long.
char words[4096];
std::size_t length = 0;
std::atomic<bool> said{true};
pid_t speaker = 0;  // a fork's child says nothing
struct sigaction before;
bool listening = false;

void say() {
  if (said.exchange(true)) return;
  for (std::size_t at = 0; at < length;) {
    ssize_t n = write(STDERR_FILENO, words + at, length - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    at += static_cast<std::size_t>(n);
  }
}

// mpirun kills all processes as soon as the first one has ended, else a quarter of a second later: whoever has spoken
// stays, so that others may speak.
void told_to_end(int) {
  if (getpid() != speaker) {
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);  // once this handler has returned
    return;
  }
  say();
  timespec left = {1, 0};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
  _exit(1);
}

void set(const std::string& text) {
  if (listening) sigaction(SIGTERM, &before, nullptr);
  listening = false;
  said.store(true);
  if (text.empty()) return;
  length = std::min(text.size(), sizeof words - 1);
  std::memcpy(words, text.data(), length);
  words[length++] = '\n';
  speaker = getpid();
  said.store(false);
  struct sigaction action = {};
  action.sa_handler = told_to_end;
  sigfillset(&action.sa_mask);
  listening = sigaction(SIGTERM, &action, &before) == 0;
}

}  // namespace

void add_last_words(py::module_& module) {
  module.def("set_last_words", set, py::arg("text"),
             "What this process says on stderr when SIGTERM ends it; '' for nothing, and for what was done before.");
  module.def("say_last_words", say, "Say it now, and not again.");
}

}  // namespace weft
