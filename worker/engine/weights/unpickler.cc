#include "worker/engine/weights/unpickler.h"

#include <cstring>
#include <unordered_map>

#include "worker/engine/weights/printable.h"
#include "worker/engine/weights/safetensors_header.h"

namespace svi::engine {
namespace {

constexpr size_t kMaxPickleBytes = 64 << 20;
// Each opcode leaves at most one object, so this bounds the memory too; a tensor takes about 30.
constexpr size_t kMaxOpcodes = 2'000'000;
constexpr size_t kMaxGlobalBytes = 256;

enum Op : unsigned char {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kInt1 = 'K',
  kInt2 = 'M',
  kInt4 = 'J',
  kLong1 = 0x8a,
  kFloat8 = 'G',
  kShortText = 0x8c,
  kText = 'X',
  kText8 = 0x8d,
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kPut1 = 'q',
  kPut4 = 'r',
  kMemoize = 0x94,
  kGet1 = 'h',
  kGet4 = 'j',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kBuild = 'b',
  kPersistentId = 'Q',
  kProtocol = 0x80,
  kFrame = 0x95,
};

// Opcodes that make objects of arbitrary classes, by the names that pickletools gives them.
const char* DangerousOp(unsigned char op) {
  switch (op) {
    case 'i':
      return "INST";
    case 'o':
      return "OBJ";
    case 'P':
      return "PERSID";
    case 0x81:
      return "NEWOBJ";
    case 0x92:
      return "NEWOBJ_EX";
    case 0x82:
    case 0x83:
    case 0x84:
      return "EXT";
    default:
      return nullptr;
  }
}

class Machine {
 public:
  Machine(std::string_view pickle, PickleHeap& heap, const std::string& file_name)
      : rest_(pickle), heap_(heap), file_name_(file_name) {}

  PickleValue Run() {
    if (rest_.size() > kMaxPickleBytes) Refuse("has a pickle of more than 64 MiB");
    if (rest_.size() < 2 || Byte() != kProtocol) Refuse("has a pickle of a protocol before 2");
    const unsigned protocol = Byte();
    if (protocol < 2 || protocol > 5)
      Refuse("has a pickle of protocol " + std::to_string(protocol) + "; 2 to 5 are read");
    for (size_t count = 0;; ++count) {
      if (count == kMaxOpcodes) Refuse("has a pickle of more than 2000000 opcodes");
      const unsigned char op = Byte();
      if (op == kStop) break;
      Step(op);
    }
    if (stack_.size() != 1 || !marks_.empty() || !rest_.empty())
      Refuse("has a pickle that does not end with its one value");
    return stack_.back();
  }

 private:
  [[noreturn]] void Refuse(const std::string& why) const { RefuseFile(file_name_, why); }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) Refuse("has a pickle that ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  template <typename T>
  T Number() {
    T value;
    std::memcpy(&value, Take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  unsigned char Byte() { return Number<unsigned char>(); }

  std::string_view Line() {
    const size_t size = rest_.substr(0, kMaxGlobalBytes).find('\n');
    if (size == std::string_view::npos) Refuse("has a pickle with a global's name that does not end");
    const std::string_view line = Take(size);
    Take(1);
    return line;
  }

  int64_t Long1() {
    const std::string_view bytes = Take(Byte());
    if (bytes.size() > sizeof(int64_t)) Refuse("has a number of more than 64 bits in its pickle");
    if (bytes.empty()) return 0;
    // Little-endian two's complement, as long as it needs.
    int64_t value = (bytes.back() & 0x80) != 0 ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  double BigEndianDouble() {
    const uint64_t bits = __builtin_bswap64(Number<uint64_t>());
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  void Push(PickleValue value) { stack_.push_back(value); }

  // What lies below the last mark is out of reach until the mark is gone.
  PickleValue Pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
      Refuse("has a pickle that takes what is not there");
    const PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }

  template <typename T>
  T PopAs(const char* what) {
    const PickleValue value = Pop();
    const T* typed = std::get_if<T>(&value);
    if (typed == nullptr) Refuse(std::string("has a pickle that takes something else for ") + what);
    return *typed;
  }

  // Leaves the value on the stack.
  template <typename T>
  T TopAs(const char* what) {
    const T value = PopAs<T>(what);
    Push(value);
    return value;
  }

  std::vector<PickleValue> PopMark() {
    if (marks_.empty()) Refuse("has a pickle that takes what is not there");
    std::vector<PickleValue> values(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }

  void PushTuple(std::vector<PickleValue> items) {
    PickleTuple& tuple = heap_.tuples.emplace_back();
    tuple.items = std::move(items);
    Push(&tuple);
  }

  void PushTuple(int size) {
    std::vector<PickleValue> items(size);
    for (int i = size; i-- > 0;) items[i] = Pop();
    PushTuple(std::move(items));
  }

  void SetItems(const std::vector<PickleValue>& values) {
    if (values.size() % 2 != 0) Refuse("has a dict in its pickle with a key and no value");
    PickleDict* dict = TopAs<PickleDict*>("a dict");
    for (size_t i = 0; i < values.size(); i += 2) dict->items.emplace_back(values[i], values[i + 1]);
  }

  void Append(const std::vector<PickleValue>& values) {
    PickleList* list = TopAs<PickleList*>("a list");
    list->items.insert(list->items.end(), values.begin(), values.end());
  }

  void Remember(uint64_t place) {
    const PickleValue value = Pop();
    Push(value);
    memo_[place] = value;
  }

  void Recall(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) Refuse("has a pickle that recalls what it never kept");
    Push(found->second);
  }

  void PushGlobal(std::string_view module, std::string_view name) {
    const PickleGlobal* global = FindPickleGlobal(module, name);
    if (global == nullptr) {
      Refuse("names " +
             Printable(std::string(module.substr(0, kMaxGlobalBytes)) + "." +
                       std::string(name.substr(0, kMaxGlobalBytes))) +
             " in its pickle; only dicts and tensors of plain dtypes are read, and nothing is run");
    }
    Push(global);
  }

  void Reduce() {
    const PickleTuple* arguments = PopAs<PickleTuple*>("arguments");
    const PickleGlobal* global = PopAs<const PickleGlobal*>("a function");
    Push(CallPickleGlobal(*global, *arguments, heap_, file_name_));
  }

  // Attributes of an OrderedDict: what a module wrote beside its tensors. Nothing here needs them.
  void Build() {
    PopAs<PickleDict*>("attributes");
    if (!TopAs<PickleDict*>("an OrderedDict")->ordered)
      Refuse("has attributes in its pickle of something that is not an OrderedDict");
  }

  void Step(unsigned char op) {
    if (!StepScalar(op) && !StepContainer(op) && !StepObject(op)) {
      const char* name = DangerousOp(op);
      Refuse("has the opcode " + (name != nullptr ? std::string(name) : std::to_string(op)) +
             " in its pickle, which no state dict needs");
    }
  }

  bool StepScalar(unsigned char op) {
    switch (op) {
      case kNone:
        Push(std::monostate());
        return true;
      case kTrue:
      case kFalse:
        Push(op == kTrue);
        return true;
      case kInt1:
        Push(int64_t{Byte()});
        return true;
      case kInt2:
        Push(int64_t{Number<uint16_t>()});
        return true;
      case kInt4:
        Push(int64_t{Number<int32_t>()});
        return true;
      case kLong1:
        Push(Long1());
        return true;
      case kFloat8:
        Push(BigEndianDouble());
        return true;
      case kShortText:
        Push(Take(Byte()));
        return true;
      case kText:
        Push(Take(Number<uint32_t>()));
        return true;
      case kText8:
        Push(Take(Number<uint64_t>()));
        return true;
      default:
        return false;
    }
  }

  bool StepContainer(unsigned char op) {
    switch (op) {
      case kMark:
        marks_.push_back(stack_.size());
        return true;
      case kEmptyTuple:
        PushTuple(0);
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        PushTuple(op - kTuple1 + 1);
        return true;
      case kTuple:
        PushTuple(PopMark());
        return true;
      case kEmptyList:
        Push(&heap_.lists.emplace_back());
        return true;
      case kAppend:
        Append({Pop()});
        return true;
      case kAppends:
        Append(PopMark());
        return true;
      case kEmptyDict:
        Push(&heap_.dicts.emplace_back());
        return true;
      case kSetItem: {
        const PickleValue value = Pop();
        const PickleValue key = Pop();
        SetItems({key, value});
        return true;
      }
      case kSetItems:
        SetItems(PopMark());
        return true;
      default:
        return false;
    }
  }

  bool StepObject(unsigned char op) {
    switch (op) {
      case kPut1:
        Remember(Byte());
        return true;
      case kPut4:
        Remember(Number<uint32_t>());
        return true;
      case kMemoize:
        Remember(memo_.size());
        return true;
      case kGet1:
        Recall(Byte());
        return true;
      case kGet4:
        Recall(Number<uint32_t>());
        return true;
      case kGlobal: {
        const std::string_view module = Line();
        PushGlobal(module, Line());
        return true;
      }
      case kStackGlobal: {
        const auto name = PopAs<std::string_view>("a global's name");
        PushGlobal(PopAs<std::string_view>("a global's module"), name);
        return true;
      }
      case kReduce:
        Reduce();
        return true;
      case kBuild:
        Build();
        return true;
      case kPersistentId:
        Push(LoadPickledStorage(Pop(), heap_, file_name_));
        return true;
      case kFrame:
        if (Number<uint64_t>() > rest_.size()) Refuse("has a pickle that ends too early");
        return true;
      default:
        return false;
    }
  }

  std::string_view rest_;
  PickleHeap& heap_;
  const std::string& file_name_;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::unordered_map<uint64_t, PickleValue> memo_;
};

}  // namespace

PickleValue Unpickle(std::string_view pickle, PickleHeap& heap, const std::string& file_name) {
  return Machine(pickle, heap, file_name).Run();
}

}  // namespace svi::engine
