// LoRAs with real processes: from a file dropped into a worker's folder to the pixels of a video, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/tiny_lora.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Clips = std::vector<std::string>;

class Lora : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(Folder());
    cluster_.StartServer();
  }
  std::string Folder(const std::string& name = "loras") const { return cluster_.dir() + "/" + name; }
  // As `cp` to another name and `mv`: whole from the first moment.
  void Drop(const std::string& file, const std::string& bytes, const std::string& folder = "loras") {
    const std::string part = Folder(folder) + "/." + file + ".part";
    std::ofstream(part, std::ios::binary) << bytes;
    fs::rename(part, Folder(folder) + "/" + file);
  }
  std::unique_ptr<Process> StartWorker(const std::string& folder = "loras",
                                       const std::vector<std::string>& more_flags = {}) {
    std::vector<std::string> flags = {"--lora-dir=" + Folder(folder)};
    flags.insert(flags.end(), more_flags.begin(), more_flags.end());
    return cluster_.StartWorker(flags);
  }
  v1::ListWorkersResponse ListWorkers() {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    const grpc::Status status = cluster_.stub().ListWorkers(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // Until the only worker has told of exactly these. There is no event for it.
  void AwaitLoras(const std::vector<std::string>& names) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    std::vector<std::string> told;
    do {
      const v1::ListWorkersResponse response = ListWorkers();
      ASSERT_EQ(response.workers_size(), 1);
      told.assign(response.workers(0).loras().begin(), response.workers(0).loras().end());
      if (told == names) return;
      absl::SleepFor(absl::Milliseconds(10));
    } while (absl::Now() < deadline);
    ADD_FAILURE() << "the worker tells of " << testing::PrintToString(told);
  }
  struct Use {
    std::string name;
    float strength = 1;
  };
  v1::Video Run(const std::vector<Use>& loras, int prompts = 1) {
    v1::VideoSpec spec = Cluster::SmallSpec(prompts);
    for (const Use& use : loras) {
      spec.add_lora()->set_name(use.name);
      spec.mutable_lora()->rbegin()->set_strength(use.strength);
    }
    return cluster_.AwaitEnd(cluster_.Create(spec).name());
  }
  Clips Make(const std::vector<Use>& loras, int prompts = 1) {
    const v1::Video video = Run(loras, prompts);
    EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    return cluster_.DownloadAll(video);
  }
  // Value of a metric without labels.
  static double Metric(int port, const std::string& name) {
    const std::string text = "\n" + HttpGet(port, "/metrics");
    const size_t at = text.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  Cluster cluster_;
};

TEST_F(Lora, ChangesTheVideoThatAskedForItAndNoOther) {
  Drop("ink.safetensors", TinyLora(1));
  Drop("wash.safetensors", TinyLora(2));
  const int port = FreePort();
  auto worker = StartWorker("loras", {"--metrics-listen=127.0.0.1:" + std::to_string(port)});
  EXPECT_EQ(Metric(port, "svi_worker_loras"), 2);
  const Clips plain = Make({}, 2);
  EXPECT_EQ(Metric(port, "svi_worker_lora_switch_seconds_count"), 0);
  EXPECT_EQ(Metric(port, "svi_worker_lora_bytes"), 0);

  const Clips ink = Make({{"ink"}}, 2);
  EXPECT_NE(ink[0], plain[0]);
  EXPECT_NE(ink[1], plain[1]);
  EXPECT_EQ(Metric(port, "svi_worker_lora_switch_seconds_count"), 1) << "once for both clips";
  EXPECT_GT(Metric(port, "svi_worker_lora_bytes"), 0);

  EXPECT_EQ(Make({}, 2), plain) << "the base's weights are back, bit for bit";
  EXPECT_EQ(Metric(port, "svi_worker_lora_switch_seconds_count"), 2);
  EXPECT_EQ(Metric(port, "svi_worker_lora_bytes"), 0);

  const Clips faint = Make({{"ink", 0.5}});
  const Clips both = Make({{"ink"}, {"wash", -0.5}});
  EXPECT_EQ(Make({{"ink"}}, 2), ink) << "whatever was in place before";
  const std::vector<Clips> all = {{plain[0]}, {ink[0]}, faint, both};
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t k = 0; k < i; ++k) EXPECT_NE(all[i], all[k]) << i << " and " << k;
  }
}

TEST_F(Lora, TheOfflineWorkerMakesTheSameClips) {
  Drop("ink.safetensors", TinyLora(1));
  Drop("wash.safetensors", TinyLora(2));
  auto worker = StartWorker();
  const std::string online = Folder("online"), offline = Folder("offline"), bare = Folder("bare");
  const auto generate = [](const std::string& binary, const std::string& out) {
    return std::vector<std::string>{BinaryPath(binary), "generate",    DemoPicture(), "--prompt=a boat",
                                    "--prompt=x",       "--width=64",  "--height=64", "--frames=17",
                                    "--steps=2",        "--out=" + out};
  };
  const std::vector<std::string> loras = {"--lora=ink:0.7", "--lora=wash"};
  std::vector<std::string> args = generate("svi", online);
  args.insert(args.end(), loras.begin(), loras.end());
  args.push_back("--server=" + cluster_.address());
  Process svi(args);
  ASSERT_EQ(svi.Wait(), 0) << svi.output();

  args = generate("svi-worker", offline);
  const std::vector<std::string> model = {"--model=" + Cluster::ModelDir(), "--device=cpu", "--threads=1",
                                          "--lora-dir=" + Folder()};
  args.insert(args.end(), model.begin(), model.end());
  std::vector<std::string> without = args;
  args.insert(args.end(), loras.begin(), loras.end());
  Process svi_worker(args);
  ASSERT_EQ(svi_worker.Wait(), 0) << svi_worker.output();
  without[9] = "--out=" + bare;
  Process no_lora(without);
  ASSERT_EQ(no_lora.Wait(), 0) << no_lora.output();
  for (const char* clip : {"/clip-00000.mp4", "/clip-00001.mp4"}) {
    EXPECT_EQ(ReadFile(online + clip), ReadFile(offline + clip)) << clip;
    EXPECT_NE(ReadFile(offline + clip), ReadFile(bare + clip)) << clip;
  }
}

TEST_F(Lora, TheOfflineWorkerNamesTheFlagThatIsWrong) {
  struct Case {
    std::vector<std::string> flags;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {{"--lora=ink"}, "--lora: needs --lora-dir"},
           {{"--lora=ink:much", "--lora-dir=x"}, "--lora=ink:much: want NAME or NAME:STRENGTH"},
           {{"--lora=../ink", "--lora-dir=x"}, "--lora=../ink: a name is"},
           {{"--lora=ink:4.5", "--lora-dir=x"}, "--lora: must be of a strength in -4..4"},
           {{"--lora=ink:nan", "--lora-dir=x"}, "--lora: must be of a strength in -4..4"},
           {{"--width=64"}, "--width and --height: set both or neither"},
           {{"--width=65", "--height=64"}, "--width: must be a multiple of 32, 32..4096"},
           {{"--frames=18"}, "--frames: must be 4k+1, 5..257"},
           {{"--steps=0"}, "--steps: must be 1..1000"},
           {{"--guidance-scale=31"}, "--guidance-scale: must be 1..30"},
           {{"--num-clips=2"}, "--num-clips: must be at most 1, since the prompts make no more"},
           {{"--prompt= "}, "--prompt: must be more than blanks"},
           {{"--variant=neu"}, "--variant=neu: want pro, film or shot"}}) {
    std::vector<std::string> args = {BinaryPath("svi-worker"), "generate",  DemoPicture(), "--model=/nowhere",
                                     "--out=" + Folder("out"), "--prompt=x"};
    args.insert(args.end(), c.flags.begin(), c.flags.end());
    Process worker(args);
    EXPECT_EQ(worker.Wait(), 2) << testing::PrintToString(c.flags) << worker.output();
    EXPECT_THAT(worker.output(), HasSubstr(c.says));
  }
}

TEST_F(Lora, TheFolderIsLookedAtAgainAndABadFileHurtsNobody) {
  Drop("notes.safetensors", "this is no LoRA");
  const int port = FreePort();
  auto worker = StartWorker("loras", {"--metrics-listen=127.0.0.1:" + std::to_string(port)});
  worker->WaitForText("LoRA refused: notes.safetensors");
  AwaitLoras({});
  EXPECT_EQ(Metric(port, "svi_worker_loras_refused"), 1);
  const Clips plain = Make({});

  v1::Video failed = Run({{"ink"}});
  EXPECT_EQ(failed.state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(failed.error().reason(), "LORA_NOT_FOUND") << failed.ShortDebugString();
  EXPECT_THAT(failed.error().message(), HasSubstr("ink"));
  EXPECT_THAT(failed.error().message(), testing::Not(HasSubstr(cluster_.dir())));
  failed = Run({{"notes"}});
  EXPECT_EQ(failed.state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(failed.error().reason(), "LORA_INVALID") << failed.ShortDebugString();
  EXPECT_THAT(failed.error().message(), testing::Not(HasSubstr(cluster_.dir())));

  // One arrives, cut off, with a layer that this model does not have, and whole.
  Drop("ink.safetensors", TinyLora(1));
  AwaitLoras({"ink"});
  const std::string whole = TinyLora(2);
  Drop("wash.safetensors", whole.substr(0, whole.size() - 4));
  worker->WaitForText("LoRA refused: wash.safetensors");
  Drop("alien.safetensors", Safetensors({{"pipe.dit.blocks.7.self_attn.q.lora_A.default.weight", {4, 96}},
                                         {"pipe.dit.blocks.7.self_attn.q.lora_B.default.weight", {96, 4}}},
                                        1));
  EXPECT_THAT(worker->WaitForText("LoRA refused: alien.safetensors: "), HasSubstr("blocks.7"));
  AwaitLoras({"ink"});
  EXPECT_EQ(Metric(port, "svi_worker_loras"), 1);
  EXPECT_EQ(Metric(port, "svi_worker_loras_refused"), 3);
  const Clips ink = Make({{"ink"}});
  EXPECT_NE(ink, plain);
  EXPECT_EQ(Make({}), plain);

  Drop("wash.safetensors", whole);
  AwaitLoras({"ink", "wash"});
  EXPECT_EQ(Metric(port, "svi_worker_loras_refused"), 2);
  // Another file of the same name is another LoRA, even while the old one is in place.
  EXPECT_EQ(Make({{"ink"}}), ink);
  Drop("ink.safetensors", whole);
  EXPECT_EQ(Make({{"ink"}}), Make({{"wash"}}));
  fs::remove(Folder() + "/ink.safetensors");
  AwaitLoras({"wash"});
  EXPECT_EQ(Run({{"ink"}}).error().reason(), "LORA_NOT_FOUND");
  EXPECT_EQ(Make({}), plain);

  Process workers({BinaryPath("svi"), "--server=" + cluster_.address(), "workers"});
  EXPECT_EQ(workers.Wait(), 0);
  EXPECT_THAT(workers.output(), HasSubstr("1 LoRAs"));
}

TEST_F(Lora, AClipGoesToTheWorkerThatHasTheFile) {
  for (const char* folder : {"ink_only", "wash_only"}) fs::create_directories(Folder(folder));
  Drop("ink.safetensors", TinyLora(1), "ink_only");
  Drop("wash.safetensors", TinyLora(2), "wash_only");
  auto first = StartWorker("ink_only", {"--worker-id=has-ink"});
  auto second = StartWorker("wash_only", {"--worker-id=has-wash"});
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) {
    for (const char* lora : {"ink", "wash"}) {
      v1::VideoSpec spec = Cluster::SmallSpec(1);
      spec.add_lora()->set_name(lora);
      names.push_back(cluster_.Create(spec).name());
    }
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const v1::Video video = cluster_.AwaitEnd(names[i]);
    ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    EXPECT_EQ(video.clips(0).worker(), i % 2 == 0 ? "workers/has-ink" : "workers/has-wash");
    EXPECT_EQ(video.clips(0).attempt(), 1u);
  }
  // No worker has both: it is said, and not waited for.
  EXPECT_EQ(Run({{"ink"}, {"wash"}}).error().reason(), "LORA_NOT_FOUND");
}

TEST_F(Lora, AFolderThatIsNotThereIsAWarning) {
  auto worker = StartWorker("nowhere");
  worker->WaitForText("the LoRA folder cannot be read");
  EXPECT_EQ(Make({}).size(), 1u);
  fs::create_directories(Folder("nowhere"));
  Drop("ink.safetensors", TinyLora(1), "nowhere");
  AwaitLoras({"ink"});
}

}  // namespace
}  // namespace svi::e2e
