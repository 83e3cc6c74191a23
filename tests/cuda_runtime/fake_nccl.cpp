// A stand-in for NCCL, for tests, over the fake driver: it finds what would hang or corrupt with the real one.
//
// What is queued runs late: when somebody waits for one member, the queues of the others go as far as their parts of
// it, then all is done at once. Between processes data goes through files of a folder beside the library, which the id
// names.
//
// WEFT_FAKE_NCCL="version=23203" says which it claims to be. Calls are counted, and told to fail, by the fake driver.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "fake_nccl.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace fake;

enum { kUnhandledCuda = 1, kSystem = 2, kInternal = 3, kInvalidArgument = 4, kInvalidUsage = 5, kRemote = 6 };
enum { kNotReady = 600, kLaunchFailed = 719 };
constexpr std::size_t kSizes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8};  // of types 0 to 8
constexpr double kPatience = 20;                               // seconds for another process

struct Id {
  char bytes[128];
};

struct Lock {
  Lock() { fake_lock(); }
  ~Lock() { fake_unlock(); }
};

void violate(const std::string& text) { fake_violate(("NCCL: " + text).c_str()); }

struct Communicator;

// All communicators of one party. What members tell each other lies in a box, under names.
struct Clique {
  int size = 0;
  std::string folder;  // where other processes look; "": there are none
  std::map<int, Communicator*> here;
  // How often each member called a collective, and members sent to and awaited each other.
  std::map<int, long> wholes;
  std::map<std::pair<int, int>, long> sent, received;
  bool aborted = false;
  std::map<std::string, std::string> box;

  void put(const std::string& name, const std::string& data) {
    if (folder.empty()) {
      box[name] = data;
      return;
    }
    std::string file = folder + "/" + name, draft = file + ".draft";
    std::ofstream(draft, std::ios::binary) << data;
    std::filesystem::rename(draft, file);
  }
  // False: nobody put it there.
  bool get(const std::string& name, std::string* data) {
    if (folder.empty()) {
      auto found = box.find(name);
      if (found != box.end()) *data = found->second;
      return found != box.end();
    }
    auto start = std::chrono::steady_clock::now();
    while (!std::filesystem::exists(folder + "/" + name)) {
      if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > kPatience) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::ifstream file(folder + "/" + name, std::ios::binary);
    data->assign(std::istreambuf_iterator<char>(file), {});
    return true;
  }
};

struct Communicator {
  std::shared_ptr<Clique> clique;
  int rank, device;
  bool aborted = false;
};

enum class Kind { all_reduce, reduce_scatter, all_gather, send, receive };

struct Call {
  Kind kind;
  Communicator* member;
  Stream* stream;
  const char* in;
  char* out;
  std::size_t count;
  int type, operation, peer;
  std::string name;  // in the box, less the sender

  std::size_t bytes() const { return count * kSizes[type]; }
  std::size_t in_bytes() const { return kind == Kind::reduce_scatter ? bytes() * ranks() : bytes(); }
  std::size_t out_bytes() const { return kind == Kind::all_gather ? bytes() * ranks() : bytes(); }
  std::size_t ranks() const { return static_cast<std::size_t>(member->clique->size); }
  bool pair() const { return kind == Kind::send || kind == Kind::receive; }
  std::pair<int, int> route() const {
    return kind == Kind::send ? std::pair(member->rank, peer) : std::pair(peer, member->rank);
  }
  // A name that nothing else in the box has.
  void number() {
    Clique& all = *member->clique;
    if (!pair()) {
      name = "all" + std::to_string(all.wholes[member->rank]++);
      return;
    }
    long count = (kind == Kind::send ? all.sent : all.received)[route()]++;
    name = "to" + std::to_string(route().second) + "." + std::to_string(count);
  }
  // What all members, or the two of a pair, have to agree on.
  std::string terms() const {
    std::ostringstream text;
    text << (pair() ? -1 : static_cast<int>(kind)) << " " << count << " " << type << " " << operation << "\n";
    return text.str();
  }
};

// -- meetings ---------------------------------------------------------------------------------------------------------

// What the members of a clique do in one group of calls.
struct Meeting {
  struct Part {
    Communicator* member;
    Stream* stream;
    unsigned long long place;
  };
  std::shared_ptr<Clique> clique;
  std::vector<Part> parts;
  std::vector<Call> calls;
  bool posted = false, running = false, done = false;
  int code = 0;

  void open() {
    for (Part& part : parts) fake_open_memory(part.member->device);
  }
  void close() {
    for (Part& part : parts) fake_close_memory(part.member->device);
  }

  // The queues of all members here come to this meeting, and what they tell others is told. False: one cannot.
  bool post() {
    for (Part& part : parts) {
      if (fake_advance(part.stream, part.place)) return false;
    }
    posted = true;
    open();
    for (Call& call : calls) {
      if (call.kind == Kind::receive) continue;
      std::string data = call.terms() + std::string(call.in, call.in_bytes());
      clique->put(call.name + "." + std::to_string(call.member->rank), data);
    }
    close();
    return true;
  }

  bool fetch(const Call& call, int from, std::string* data) {
    std::string terms = call.terms();
    if (!clique->get(call.name + "." + std::to_string(from), data)) {
      violate("member " + std::to_string(call.member->rank) + " waits in vain for member " + std::to_string(from));
      return false;
    }
    if (data->compare(0, terms.size(), terms) != 0) {
      violate("processes that differ in what they call");
      return false;
    }
    data->erase(0, terms.size());
    return true;
  }

  void finish() {
    open();
    for (Call& call : calls) {
      if (call.kind == Kind::send) continue;
      std::vector<std::string> all;
      for (int from = 0; from < (call.pair() ? 1 : clique->size); ++from) {
        all.emplace_back();
        if (!fetch(call, call.pair() ? call.peer : from, &all.back())) code = kLaunchFailed;
      }
      if (code) break;
      std::size_t rank = static_cast<std::size_t>(call.member->rank);
      char* out = call.out;
      switch (call.kind) {
        case Kind::all_reduce:
          kReduce[call.type](out, all, 0, call.count, call.operation);
          break;
        case Kind::reduce_scatter:
          kReduce[call.type](out, all, rank * call.count, call.count, call.operation);
          break;
        default:
          for (const std::string& data : all) {
            std::memcpy(out, data.data(), data.size());
            out += data.size();
          }
      }
    }
    close();
    clique->box.clear();
  }

  int run() {
    if (running) violate("a meeting that waits for itself");
    if (done || running) return code;
    if (clique->aborted) return 0;  // with rubbish
    running = true;
    done = posted || post();
    if (done) finish();
    running = false;
    return done ? code : kNotReady;
  }
};

int run_meeting(void* env) { return static_cast<std::shared_ptr<Meeting>*>(env)->get()->run(); }

// A part whose partners never come: it ends only when the communicator is given up.
int run_alone(void* env) { return static_cast<std::shared_ptr<Clique>*>(env)->get()->aborted ? 0 : kNotReady; }

// -- groups -----------------------------------------------------------------------------------------------------------

struct Joining {
  Communicator** made;
  int size, rank, device;
  std::string folder;
};

thread_local int depth = 0, group_error = 0;
thread_local std::vector<Call> group_calls;
thread_local std::vector<Joining> group_joins;

// Notes a failure, for the group too; the current device is another afterwards, as with the real one.
int answer(int code, int device = -1) {
  if (code && depth) group_error = code;
  if (device >= 0) fake_set_current(device);
  return code;
}

std::map<std::string, std::weak_ptr<Clique>>& cliques() {
  static auto* all = new std::map<std::string, std::weak_ptr<Clique>>;
  return *all;
}

int join_all(std::vector<Joining>& joins) {
  for (Joining& join : joins) {
    std::shared_ptr<Clique> clique = cliques()[join.folder].lock();
    if (!clique) {
      clique = std::make_shared<Clique>();
      clique->size = join.size;
      clique->folder = join.folder;
      cliques()[join.folder] = clique;
    }
    if (clique->size != join.size || clique->here.count(join.rank)) {
      violate("two members of one rank, or of different parties with one id");
      return kInvalidUsage;
    }
    *join.made = clique->here[join.rank] = new Communicator{clique, join.rank, join.device};
    clique->put("hello." + std::to_string(join.rank), "");
  }
  for (Joining& join : joins) {
    for (int other = 0; other < join.size; ++other) {
      std::string data;
      if (!(*join.made)->clique->get("hello." + std::to_string(other), &data)) {
        violate("member " + std::to_string(other) + " never joins");
        return kSystem;
      }
    }
  }
  return 0;
}

std::string mismatch(const std::shared_ptr<Clique>& clique, std::vector<Call*>& calls) {
  std::map<int, std::vector<Call*>> wholes;
  std::map<std::pair<int, int>, std::vector<Call*>> sent, received;
  std::map<int, Stream*> streams;
  for (Call* call : calls) {
    int rank = call->member->rank;
    if (!streams.emplace(rank, call->stream).second && streams[rank] != call->stream) return "two streams of a member";
    if (call->pair()) {
      (call->kind == Kind::send ? sent : received)[call->route()].push_back(call);
    } else {
      wholes[rank].push_back(call);
    }
  }
  if (!wholes.empty()) {
    const std::vector<Call*>& first = wholes.begin()->second;
    for (auto [rank, member] : clique->here) {
      const std::vector<Call*>& others = wholes[rank];
      if (others.size() != first.size()) return "a collective that some members do not call";
      for (std::size_t k = 0; k < first.size(); ++k) {
        if (others[k]->terms() != first[k]->terms()) return "members that differ in what they call";
      }
    }
  }
  for (auto* side : {&sent, &received}) {
    for (auto& [pair, calls] : *side) {
      auto [from, to] = pair;
      if (!clique->here.count(from) || !clique->here.count(to)) continue;
      auto& others = (side == &sent ? received : sent)[pair];
      if (others.size() != calls.size()) return "something sent that is not received, or awaited and not sent";
      for (std::size_t k = 0; k < calls.size(); ++k) {
        if (others[k]->terms() != calls[k]->terms()) return "something sent that is not what is awaited";
      }
    }
  }
  return "";
}

int queue_all(std::vector<Call>& calls, bool fails) {
  std::vector<std::shared_ptr<Clique>> order;
  for (Call& call : calls) {
    if (std::find(order.begin(), order.end(), call.member->clique) == order.end()) {
      order.push_back(call.member->clique);
    }
  }
  for (auto& clique : order) {
    std::vector<Call*> mine;
    for (Call& call : calls) {
      if (call.member->clique == clique) mine.push_back(&call);
    }
    std::string wrong = mismatch(clique, mine);
    if (!wrong.empty()) {
      violate(wrong);
      return kInvalidUsage;
    }
    if (fails) {  // as it happens: one member's part is queued, and the others' are not
      fake_enqueue(mine[0]->stream, run_alone, new std::shared_ptr<Clique>(clique));
      continue;
    }
    auto meeting = std::make_shared<Meeting>();
    meeting->clique = clique;
    for (Call* call : mine) {
      call->number();
      meeting->calls.push_back(*call);
      auto is = [&](const Meeting::Part& part) { return part.member == call->member; };
      if (std::any_of(meeting->parts.begin(), meeting->parts.end(), is)) continue;
      meeting->parts.push_back({call->member, call->stream, fake_stream_end(call->stream)});
    }
    for (Meeting::Part& part : meeting->parts) {
      fake_enqueue(part.stream, run_meeting, new std::shared_ptr<Meeting>(meeting));
    }
    // Other processes may never wait for anything else than this, so it is not put off.
    if (!clique->folder.empty()) meeting->post();
  }
  return 0;
}

int end_group() {
  int planned = fake_called("ncclGroupEnd");
  if (depth == 0) {
    violate("ncclGroupEnd without ncclGroupStart");
    return kInvalidUsage;
  }
  if (--depth > 0) return planned;
  std::vector<Call> calls = std::move(group_calls);
  std::vector<Joining> joins = std::move(group_joins);
  int code = group_error;
  group_calls.clear();
  group_joins.clear();
  group_error = 0;
  if (code) return code;
  if (!joins.empty()) return planned ? planned : join_all(joins);
  code = queue_all(calls, planned != 0);
  return planned ? planned : code;
}

int add(const char* name, Kind kind, const void* in, void* out, std::size_t count, int type, int operation, int peer,
        Communicator* member, Stream* stream) {
  Lock lock;
  auto wrong = [&](const std::string& text) {
    violate(std::string(name) + ": " + text);
    return answer(kInvalidUsage);
  };
  if (int code = fake_called(name)) return answer(code);
  if (member->aborted) return wrong("a communicator that was given up");
  if (type < 0 || type > 8 || operation < kSum || operation > kMin || operation == kProduct) return wrong("a dtype");
  if (peer >= member->clique->size) return wrong("a peer that is not there");
  if (fake_current() != member->device) return wrong("another device is current");
  if (fake_stream_device(stream) != member->device) return wrong("a stream of another device");
  bool alone = member->clique->here.size() == 1 && kind != Kind::send && kind != Kind::receive;
  if (depth == 0 && !alone) return wrong("outside of a group");
  Call call{kind,      member, stream, static_cast<const char*>(in), static_cast<char*>(out), count, type,
            operation, peer,   ""};
  if (count == 0) return wrong("nothing");
  if (kind != Kind::receive && !fake_inside(member->device, in, call.in_bytes())) {
    return wrong("sends what is not the device's memory");
  }
  if (kind != Kind::send && !fake_inside(member->device, out, call.out_bytes())) {
    return wrong("receives outside the device's memory");
  }
  group_calls.push_back(call);
  int code = 0;
  if (depth == 0) {
    std::vector<Call> calls = std::move(group_calls);
    group_calls.clear();
    code = queue_all(calls, false);
  }
  return answer(code, member->clique->here.rbegin()->second->device);
}

}  // namespace

EXPORT int ncclGetVersion(int* version) {
  const char* text = std::getenv("WEFT_FAKE_NCCL");
  *version = 23203;
  if (text) std::sscanf(text, "version=%d", version);
  return fake_called("ncclGetVersion");
}
EXPORT const char* ncclGetErrorString(int code) {
  static const char* const texts[] = {
      "no error",         "unhandled cuda error", "unhandled system error", "internal error",
      "invalid argument", "invalid usage",        "remote process exited"};
  return code >= 0 && code <= kRemote ? texts[code] : "unknown result code";
}
EXPORT const char* ncclGetLastError(Communicator*) { return "the fake library's words"; }
EXPORT int ncclGetUniqueId(Id* id) {
  Lock lock;
  std::memset(id->bytes, 'x', sizeof id->bytes);  // zeros inside are fine, and rubbish behind them too
  if (int code = fake_called("ncclGetUniqueId")) return code;
  Dl_info self;
  if (!dladdr(reinterpret_cast<void*>(ncclGetUniqueId), &self)) return kSystem;
  std::string folder = std::filesystem::path(self.dli_fname).parent_path().string() + "/party_XXXXXX";
  if (folder.size() >= sizeof id->bytes || !mkdtemp(folder.data())) return kSystem;
  std::memcpy(id->bytes, folder.c_str(), folder.size() + 1);
  return 0;
}
EXPORT int ncclCommInitAll(Communicator** made, int count, const int* numbers) {
  Lock lock;
  if (int code = fake_called("ncclCommInitAll")) return answer(code);
  if (depth) violate("ncclCommInitAll within a group");
  auto clique = std::make_shared<Clique>();
  clique->size = count;
  for (int rank = 0; rank < count; ++rank) {
    for (auto [other, member] : clique->here) {
      if (member->device == numbers[rank]) return answer(kInvalidUsage);
    }
    made[rank] = clique->here[rank] = new Communicator{clique, rank, numbers[rank]};
  }
  return answer(0, numbers[count - 1]);
}
EXPORT int ncclCommInitRank(Communicator** made, int size, Id id, int rank) {
  Lock lock;
  *made = nullptr;
  if (int code = fake_called("ncclCommInitRank")) return answer(code);
  int device = fake_current();
  if (device < 0 || rank < 0 || rank >= size) {
    violate("ncclCommInitRank without a device, or with a rank that is not there");
    return answer(kInvalidArgument);
  }
  group_joins.push_back({made, size, rank, device, id.bytes});
  int code = 0;
  if (depth == 0) {
    std::vector<Joining> joins = std::move(group_joins);
    group_joins.clear();
    code = join_all(joins);
  }
  return answer(code, device == 0 ? 0 : device - 1);
}
EXPORT int ncclCommAbort(Communicator* member) {
  Lock lock;
  if (fake_current() != member->device) violate("ncclCommAbort: another device is current");
  if (member->aborted) violate("a communicator given up twice");
  member->aborted = member->clique->aborted = true;
  return fake_called("ncclCommAbort");
}
EXPORT int ncclCommGetAsyncError(Communicator* member, int* code) {
  Lock lock;
  *code = fake_called("remote error");
  return member->aborted ? kInvalidUsage : fake_called("ncclCommGetAsyncError");
}
EXPORT int ncclGroupStart() {
  Lock lock;
  if (int code = fake_called("ncclGroupStart")) return code;
  ++depth;
  return 0;
}
EXPORT int ncclGroupEnd() {
  Lock lock;
  int code = end_group();
  if (fake_current() >= 0) fake_set_current(0);
  return code;
}
EXPORT int ncclAllReduce(const void* in, void* out, std::size_t count, int type, int operation, Communicator* member,
                         Stream* stream) {
  return add("ncclAllReduce", Kind::all_reduce, in, out, count, type, operation, -1, member, stream);
}
EXPORT int ncclReduceScatter(const void* in, void* out, std::size_t count, int type, int operation,
                             Communicator* member, Stream* stream) {
  return add("ncclReduceScatter", Kind::reduce_scatter, in, out, count, type, operation, -1, member, stream);
}
EXPORT int ncclAllGather(const void* in, void* out, std::size_t count, int type, Communicator* member, Stream* stream) {
  return add("ncclAllGather", Kind::all_gather, in, out, count, type, kSum, -1, member, stream);
}
EXPORT int ncclSend(const void* in, std::size_t count, int type, int peer, Communicator* member, Stream* stream) {
  return add("ncclSend", Kind::send, in, nullptr, count, type, kSum, peer, member, stream);
}
EXPORT int ncclRecv(void* out, std::size_t count, int type, int peer, Communicator* member, Stream* stream) {
  return add("ncclRecv", Kind::receive, nullptr, out, count, type, kSum, peer, member, stream);
}
