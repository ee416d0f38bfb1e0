// SPDX-License-Identifier: Apache-2.0
#include "support/real_server.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "support/eventually.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

bool accepts(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return connected;
}

// The inodes of the machine's listening TCP sockets on `port`.
std::set<std::string> listeners(int port) {
  std::set<std::string> inodes;
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream table(file);
    std::string line;
    while (std::getline(table, line)) {
      // "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …"
      std::istringstream fields(line);
      std::string slot, local, remote, state, queues, timer, retries, user, timeout, inode;
      fields >> slot >> local >> remote >> state >> queues >> timer >> retries >> user >> timeout >>
          inode;
      const auto colon = local.find(':');
      if (state == "0A" && colon != std::string::npos &&
          std::stoi(local.substr(colon + 1), nullptr, 16) == port) {
        inodes.insert("socket:[" + inode + "]");
      }
    }
  }
  return inodes;
}

// Whether it is this process that listens on the port, and not who was quicker. Where the machine does not let us look (another
// user's process): whether anybody does.
bool listens(pid_t pid, int port) {
  const std::set<std::string> inodes = listeners(port);
  std::error_code denied;
  const auto fds =
      std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", denied);
  if (denied) return accepts(port);
  for (const auto& fd : fds) {
    std::error_code gone;
    if (inodes.contains(std::filesystem::read_symlink(fd.path(), gone).string())) return true;
  }
  return false;
}

void give_to(const passwd& user, const std::string& path) {
  bool given = lchown(path.c_str(), user.pw_uid, user.pw_gid) == 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(path))
    given &= lchown(file.path().c_str(), user.pw_uid, user.pw_gid) == 0;
  if (!given) throw std::runtime_error("cannot give " + path + " to another user");
}

}  // namespace

std::string server_program(const std::string& name) {
  const char* path = getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "") +
                             ":/usr/sbin:/usr/local/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  throw std::runtime_error(name + " is not installed: the tests need the packages of tools/test");
}

std::vector<std::string> server_words(const std::string& folder, bool as_nobody) {
  std::vector<std::string> words{"setpriv", "--pdeathsig", "KILL"};
  if (!as_nobody || geteuid() != 0) return words;
  const passwd* nobody = getpwnam("nobody");
  if (nobody == nullptr) throw std::runtime_error("there is no user nobody");
  give_to(*nobody, folder);
  words.insert(words.end(), {"--reuid", std::to_string(nobody->pw_uid), "--regid",
                             std::to_string(nobody->pw_gid), "--clear-groups"});
  return words;
}

RealServer::RealServer(const Recipe& recipe) {
  std::string why;
  for (int i = 0; i < kTries; ++i) {
    const std::string failure = try_start(recipe);
    if (failure.empty()) return;
    why += failure;
  }
  throw std::runtime_error(recipe.name + " does not start:\n" + why);
}

// It has nothing to save, and Apache takes seconds to stop in good order.
RealServer::~RealServer() {
  if (process_) process_->signal(SIGKILL);
}

std::string RealServer::try_start(const Recipe& recipe) {
  process_.reset();
  dir_ = std::make_unique<TempDir>();
  ports_.clear();
  while (ports_.size() < recipe.ports) {
    const int port = free_port();
    if (std::find(ports_.begin(), ports_.end(), port) == ports_.end()) ports_.push_back(port);
  }
  std::vector<std::string> command = recipe.prepare(*dir_, ports_);
  argv_ = server_words(dir_->path(), recipe.as_nobody);
  for (std::string& word : command) argv_.push_back(std::move(word));
  answers_ = recipe.answers;
  return launch();
}

void RealServer::kill() {
  process_->signal(SIGKILL);
  if (!process_->wait(10s)) throw std::runtime_error("a killed server does not end");
}

void RealServer::start_again() {
  if (const std::string failure = launch(); !failure.empty())
    throw std::runtime_error("a server does not start again:\n" + failure);
}

std::string RealServer::launch() {
  process_ = std::make_unique<ChildProcess>(argv_);
  const pid_t pid = process_->pid();
  bool has_ended = false;
  const bool answers = eventually(
      [&] {
        has_ended = !process_->runs_for({});
        return has_ended ||
               (std::all_of(ports_.begin(), ports_.end(), [&](int p) { return listens(pid, p); }) &&
                (!answers_ || answers_(ports_)));
      },
      20s);
  if (answers && !has_ended) return "";
  return process_->out() + process_->err() + "\n";
}

}  // namespace watchwheel::testing
