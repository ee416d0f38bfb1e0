// SPDX-License-Identifier: Apache-2.0
#include "support/galera.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "support/eventually.h"
#include "support/mariadb.h"
#include "support/real_server.h"

namespace watchwheel::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// On addresses of their own the nodes have ports of their own, below those that the machine gives to anybody.
constexpr int kSqlPort = 3306;
constexpr int kGroupPort = 4567;
constexpr int kIncrementPort = 4568;
constexpr int kTransferPort = 4444;
// A node that got no processor for two seconds while it joined is put out again, and then asks for a copy of everything, which there
// is not. What its own tables know is enough for another start.
constexpr int kStartTries = 3;

const std::string kProvider = "/usr/lib/galera/libgalera_smm.so";

bool is_free(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return bound;
}

std::string free_network() {
  std::random_device random;
  std::uniform_int_distribution<int> number(1, 250);
  for (int i = 0; i < 20; ++i) {
    const std::string network =
        "127." + std::to_string(number(random)) + "." + std::to_string(number(random)) + ".";
    bool all_free = true;
    for (std::size_t node = 1; node <= Galera::kNodes; ++node) {
      for (const int port : {kSqlPort, kGroupPort, kIncrementPort, kTransferPort})
        all_free &= is_free(network + std::to_string(node), port);
    }
    if (all_free) return network;
  }
  throw std::runtime_error(
      "Galera: no three loopback addresses are free (does something listen on every address at "
      "port 3306?)");
}

// What the server runs to take over the state of another node. The donor writes down from where on it will send; only what it has
// in memory is sent, and a copy of everything is refused.
constexpr const char* kTransfer = R"sh(#!/bin/sh
folder=$(dirname "$0")
while [ $# -gt 0 ]; do
  case $1 in
    --role) role=$2 ;;
    --address) address=$2 ;;
    --gtid) gtid=$2 ;;
    --bypass) increments=yes ;;
  esac
  shift
done
position=$folder/of.$(echo "$address" | cut -d: -f1)
if [ "$role" = joiner ]; then
  rm -f "$position"
  echo "ready $address/incremental"
  tries=0
  while [ ! -s "$position" ]; do
    sleep 0.02
    tries=$((tries + 1))
    [ $tries -lt 1500 ] || exit 110
  done
  cat "$position"
elif [ "${increments:-no}" = yes ]; then
  echo "$gtid" >"$position.new"
  mv "$position.new" "$position"
  echo "done $gtid"
else
  echo "the node lacks more than its peers remember: only increments are sent here" >&2
  exit 95
fi
)sh";

std::vector<std::string> server_options(const TempDir& dir) {
  return {server_program("mariadbd"), "--no-defaults", "--datadir=" + dir.file("data"),
          "--tmpdir=" + dir.file("tmp"), "--socket=" + dir.file("s.sock"),
          "--pid-file=" + dir.file("pid"), "--innodb-buffer-pool-size=32M",
          "--innodb-log-file-size=16M",
          // Not at every commit, as is usual in a cluster: the others have it.
          "--innodb-flush-log-at-trx-commit=2", "--innodb-autoinc-lock-mode=2",
          "--binlog-format=ROW", "--performance-schema=OFF", "--skip-name-resolve",
          "--max-connections=100", "--wsrep-on=ON", "--wsrep-provider=" + kProvider,
          "--wsrep-cluster-name=test"};
}

std::string query(const std::string& address, const std::string& sql) {
  const Finished asked =
      run_program({"mariadb", "--no-defaults", "--connect-timeout=3", "-uroot", "-h" + address,
                   "-P", std::to_string(kSqlPort), "-N", "-e", sql},
                  {}, 3s);
  return asked.status == 0 ? asked.out : "";
}

std::string end_of(const std::string& text) {
  constexpr std::size_t kShown = 4000;
  return text.size() > kShown ? "…" + text.substr(text.size() - kShown) : text;
}

void check_machine() {
  if (access(kProvider.c_str(), R_OK) != 0)
    throw std::runtime_error("Galera: " + kProvider +
                             " is not there: the tests need the packages of tools/test");
}

}  // namespace

// A node that has been part of a cluster of its own: every node begins with a copy of its files, so that none needs a transfer of
// more than the last writes.
class GaleraBeginning : core::Pinned {
 public:
  static const std::string& data() {
    static const GaleraBeginning made;
    return made.data_;
  }

 private:
  GaleraBeginning() {
    check_machine();
    fs::copy(empty_mariadb_data(), data_, fs::copy_options::recursive);
    fs::create_directory(dir_.file("tmp"));
    const std::string network = free_network();
    std::vector<std::string> argv = server_words(dir_.path(), true);
    for (std::string& word : server_options(dir_)) argv.push_back(std::move(word));
    const std::string address = network + "1";
    argv.insert(argv.end(), {"--bind-address=" + address, "--port=" + std::to_string(kSqlPort),
                             "--wsrep-node-address=" + address, "--wsrep-new-cluster",
                             "--wsrep-cluster-address=gcomm://",
                             "--wsrep-provider-options=gmcast.listen_addr=tcp://" + address + ":" +
                                 std::to_string(kGroupPort) + ";gcache.size=1M"});
    ChildProcess first(argv);
    const bool up = eventually(
        [&] {
          return !first.runs_for({}) ||
                 query(address, "SHOW STATUS LIKE 'wsrep_ready'").find("ON") != std::string::npos;
        },
        Galera::kReady);
    if (first.stop() != 0 || !up)
      throw std::runtime_error("Galera: the first node does not start:\n" +
                               end_of(first.out() + first.err()));
    // What it remembers of writes is nobody's, and 1 MB is too little.
    fs::remove(dir_.file("data/galera.cache"));
  }

  TempDir dir_;
  const std::string data_ = dir_.file("data");
};

Galera::Galera(std::vector<std::string> options)
    : options_(std::move(options)), network_(free_network()) {
  check_machine();
  transfer_.write("wsrep_sst_incremental", kTransfer);
  (void)server_words(transfer_.path(), true);  // The server's user writes there.
  if (chmod(transfer_.file("wsrep_sst_incremental").c_str(), 0755) != 0)
    throw std::runtime_error("Galera: cannot make a program");
  for (std::size_t i = 0; i < kNodes; ++i) {
    nodes_[i].dir = std::make_unique<TempDir>();
    fs::copy(GaleraBeginning::data(), nodes_[i].dir->file("data"), fs::copy_options::recursive);
    fs::create_directory(nodes_[i].dir->file("tmp"));
  }
  // One after the other: two that join at once are told about each other again and again.
  launch(0, {"--wsrep-new-cluster"});
  for (std::size_t i = 1; i < kNodes; ++i) launch(i, {});
}

Galera::~Galera() {
  for (const Node& node : nodes_) {
    if (node.process) node.process->signal(SIGKILL);
  }
}

std::string Galera::address(std::size_t node) const {
  return network_ + std::to_string(node + 1);
}

std::string Galera::url(const std::string& database, std::size_t first) const {
  std::string hosts;
  for (std::size_t i = 0; i < kNodes; ++i)
    hosts += (i == 0 ? "" : ",") + address((first + i) % kNodes);
  return "mysql://root@" + hosts + "/" + database;
}

std::string Galera::url_of(std::size_t node, const std::string& database) const {
  return "mysql://root@" + address(node) + "/" + database;
}

std::vector<std::string> Galera::command(std::size_t node) const {
  const TempDir& dir = *nodes_.at(node).dir;
  const std::string own = address(node);
  const auto at = [&](int port) { return own + ":" + std::to_string(port); };
  std::vector<std::string> argv = server_words(dir.path(), true);
  const char* path = getenv("PATH");
  argv.insert(argv.end(),
              {"env", "PATH=" + std::string(path != nullptr ? path : "") + ":" + transfer_.path()});
  for (std::string& word : server_options(dir)) argv.push_back(std::move(word));
  argv.insert(
      argv.end(),
      {"--bind-address=" + own, "--port=" + std::to_string(kSqlPort),
       "--wsrep-node-name=n" + std::to_string(node + 1), "--wsrep-node-address=" + at(kGroupPort),
       "--wsrep-node-incoming-address=" + at(kSqlPort),
       "--wsrep-cluster-address=gcomm://" + address(0) + "," + address(1) + "," + address(2),
       "--wsrep-sst-method=incremental", "--wsrep-sst-receive-address=" + at(kTransferPort),
       "--wsrep-provider-options=gmcast.listen_addr=tcp://" + at(kGroupPort) +
           ";ist.recv_addr=" + at(kIncrementPort) + ";ist.recv_bind=" + at(kIncrementPort) +
           ";gcache.size=64M;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S"
           ";evs.inactive_check_period=PT0.2S;evs.keepalive_period=PT0.2S"
           ";gmcast.peer_timeout=PT1S"});
  argv.insert(argv.end(), options_.begin(), options_.end());
  return argv;
}

void Galera::launch(std::size_t node, std::vector<std::string> last_words) {
  Node& launched = nodes_.at(node);
  std::vector<std::string> argv = command(node);
  for (std::string& word : last_words) argv.push_back(std::move(word));
  launched.process = std::make_unique<ChildProcess>(argv);
  bool has_ended = false;
  const bool up = eventually(
      [&] {
        has_ended = !launched.process->runs_for({});
        return has_ended || serves(node);
      },
      kReady);
  if (!up || has_ended)
    throw std::runtime_error("Galera: node " + std::to_string(node + 1) + " does not start:\n" +
                             logs());
}

void Galera::kill(std::size_t node) {
  ChildProcess& process = *nodes_.at(node).process;
  process.signal(SIGKILL);
  if (!process.wait(10s)) throw std::runtime_error("Galera: a killed node does not end");
}

void Galera::pause(std::size_t node) {
  nodes_.at(node).process->signal(SIGSTOP);
}

void Galera::resume(std::size_t node) {
  nodes_.at(node).process->signal(SIGCONT);
}

// Where it stopped, as its own tables know it: without this a node that was killed asks for a copy of everything.
std::string Galera::recovered_position(std::size_t node) const {
  std::vector<std::string> argv = command(node);
  argv.insert(argv.end(), {"--wsrep-recover", "--skip-networking"});
  const Finished recovered = run_program(argv, {}, kReady);
  const std::string all = recovered.out + recovered.err;
  const std::string words = "Recovered position: ";
  const auto found = all.find(words);
  if (found == std::string::npos)
    throw std::runtime_error("Galera: a node does not recover:\n" + end_of(all));
  const auto begin = found + words.size();
  return all.substr(begin, all.find_first_of(" \n", begin) - begin);
}

void Galera::start_once(std::size_t node) {
  bool others_run = false;
  for (const Node& other : nodes_) others_run |= other.process && other.process->runs_for({});
  std::vector<std::string> words{"--wsrep-start-position=" + recovered_position(node)};
  if (!others_run) {
    const std::string state = nodes_.at(node).dir->file("data/grastate.dat");
    std::ifstream file(state);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::string unsafe = "safe_to_bootstrap: 0";
    if (const auto at = text.find(unsafe); at != std::string::npos) {
      text.replace(at, unsafe.size(), "safe_to_bootstrap: 1");
      write_file(state, text);
    }
    words.emplace_back("--wsrep-new-cluster");
  }
  launch(node, std::move(words));
}

void Galera::start(std::size_t node) {
  for (int tries = 1;; ++tries) {
    try {
      return start_once(node);
    } catch (const std::runtime_error&) {
      if (tries == kStartTries) throw;
      kill(node);
    }
  }
}

std::string Galera::status(std::size_t node, const std::string& name) const {
  const std::string row = query(address(node), "SHOW STATUS LIKE '" + name + "'");
  const auto tab = row.find('\t');
  return tab == std::string::npos ? "" : row.substr(tab + 1, row.find('\n') - tab - 1);
}

bool Galera::serves(std::size_t node) const {
  return status(node, "wsrep_local_state_comment") == "Synced" &&
         status(node, "wsrep_ready") == "ON";
}

int Galera::sees(std::size_t node) const {
  if (status(node, "wsrep_cluster_status") != "Primary") return 0;
  return std::atoi(status(node, "wsrep_cluster_size").c_str());
}

std::string Galera::logs() const {
  std::string all;
  for (std::size_t i = 0; i < kNodes; ++i) {
    if (nodes_[i].process)
      all += "--- node " + std::to_string(i + 1) + "\n" +
             end_of(nodes_[i].process->out() + nodes_[i].process->err()) + "\n";
  }
  return all;
}

}  // namespace watchwheel::testing
