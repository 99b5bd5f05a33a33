// What a training run does before its first step.
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "worker/engine/as_status.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/train/training_run.h"
#include "worker/engine/train/training_state.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

constexpr char kStopRequest[] = "stop-requested";
constexpr size_t kNamedVideos = 20;  // in the log, of those that are skipped

// An error as one rank tells it to the others.
std::string Encode(const absl::Status& status) {
  return status.ok() ? "" : absl::StrCat(static_cast<int>(status.code()), " ", status.message());
}

[[noreturn]] void Throw(const std::string& encoded, size_t rank, bool several) {
  const size_t space = encoded.find(' ');
  const auto code = static_cast<absl::StatusCode>(std::stoi(encoded.substr(0, space)));
  const std::string text =
      absl::StrCat(several ? absl::StrCat("rank ", rank, ": ") : "", encoded.substr(space + 1));
  throw StatusError(absl::Status(code, text));
}

}  // namespace

void TrainingRun::Together(const std::function<void()>& work) {
  std::string error;
  try {
    work();
  } catch (const RankLost&) {
    throw;
  } catch (const RunStopped&) {
    error = Encode(absl::CancelledError("the run was stopped"));
  } catch (...) {
    error = Encode(ToStatus(std::current_exception()));
  }
  const std::vector<std::string> errors = collectives_.GatherStrings(error);
  for (size_t rank = 0; rank < errors.size(); ++rank) {
    if (!errors[rank].empty()) Throw(errors[rank], rank, errors.size() > 1);
  }
}

void TrainingRun::Log(const std::string& line) const {
  if (first_rank()) callbacks_.log(line);
}

// While a rank encodes it takes part in no collective, so that it learns through the folder that rank 0 was
// told to stop.
bool TrainingRun::StopAsked() {
  const fs::path request = fs::path(site_.run_dir) / kStopRequest;
  if (!first_rank()) return fs::exists(request);
  if (!callbacks_.stop()) return false;
  std::ofstream(request).flush();
  return true;
}

void TrainingRun::ClearStopRequest() {
  if (first_rank()) {
    fs::create_directories(site_.run_dir);
    fs::remove(fs::path(site_.run_dir) / kStopRequest);
  }
}

void TrainingRun::Prepare() {
  Together([this] { CheckOptions(); });
  Together([this] { ClearStopRequest(); });
  FillCache();
  Together([this] { LoadModel(); });
  Restore();
}

void TrainingRun::CheckOptions() {
  CheckWindowOptions(window_);
  CheckErrorRecyclingOptions(options_.recycling, options_.variant == Variant::kFilm ? 2 : 1);
  if (options_.recycling.reencode_prob > 0 && options_.variant != Variant::kFilm) {
    throw std::invalid_argument("error_recycling.reencode_prob must be 0 unless the variant is film");
  }
  RecyclingContext context;
  context.variant = options_.variant;
  context.effective_batch = samples_a_step();
  context.parameters = site_.model_parameters;
  for (const std::string& warning : RecyclingWarnings(options_.recycling, context)) Log(warning);
}

void TrainingRun::FillCache() {
  CacheReport filled;
  Together([&] {
    LatentCacheOptions cache;
    cache.dir = site_.cache_dir;
    cache.model_dir = site_.model_dir;
    cache.width = options_.width;
    cache.height = options_.height;
    cache.window = window_;
    cache.samples_per_video = options_.samples_per_video;
    cache.max_stride = options_.max_stride;
    cache.seed = options_.seed;
    cache_ = std::make_unique<LatentCache>(std::move(cache), videos_);
    CacheCallbacks callbacks;
    callbacks.cancelled = [this] { return StopAsked(); };
    callbacks.progress = [this](const char* what, int64_t done, int64_t total) {
      report_.phase = absl::StrCat("encoding ", what, ": ", done, " of ", total);
      if (first_rank()) callbacks_.report(report_);
    };
    filled = cache_->Fill(CacheModelsOf(site_.model_dir, site_.device), collectives_.rank(),
                          collectives_.size(), callbacks);
    if (filled.stopped) throw RunStopped();
  });
  Together([this] { cache_->Open(); });

  std::set<std::string> fingerprints;
  for (const std::string& one : collectives_.GatherStrings(cache_->fingerprint())) fingerprints.insert(one);
  if (fingerprints.size() > 1) {
    throw std::invalid_argument("the ranks see different caches: the training folder must be shared by all");
  }
  // Every rank has its share of the data set; the report is of all.
  std::string skipped;
  for (const VideoSource::Skipped& s : filled.skipped) absl::StrAppend(&skipped, s.name, ": ", s.why, "\n");
  int64_t names = 0;
  for (const VideoSource::Skipped& s : videos_.skipped()) {
    if (++names <= static_cast<int64_t>(kNamedVideos)) Log(absl::StrCat("skipped ", s.name, ": ", s.why));
  }
  report_.skipped_videos = static_cast<int64_t>(videos_.skipped().size());
  for (const std::string& of_rank : collectives_.GatherStrings(skipped)) {
    for (size_t begin = 0; begin < of_rank.size();) {
      const size_t end = of_rank.find('\n', begin);
      if (++names <= static_cast<int64_t>(kNamedVideos)) Log("skipped " + of_rank.substr(begin, end - begin));
      ++report_.skipped_videos;
      begin = end + 1;
    }
  }
  if (names > static_cast<int64_t>(kNamedVideos)) Log(absl::StrCat("skipped ", names, " videos in all"));
  report_.videos =
      static_cast<int64_t>(videos_.items().size() + videos_.skipped().size()) - report_.skipped_videos;
  Log(absl::StrCat("data set: ", report_.videos, " videos, ", cache_->size(), " windows, ", filled.encoded,
                   " of them newly encoded by this rank, ", filled.reused, " found encoded"));
}

void TrainingRun::LoadModel() {
  report_.phase = "loading the model";
  if (first_rank()) callbacks_.report(report_);
  if (full()) {
    trainable_.emplace(LoadTrainableFull(site_.model_dir, site_.device));
  } else {
    LoraAdapterOptions lora = options_.lora;
    lora.seed = options_.seed;
    trainable_.emplace(LoadTrainableLora(site_.model_dir, site_.device, lora));
  }
  optimizer_.emplace(trainable_->parameters, options_.adamw);
  if (options_.ema_decay > 0) average_.emplace(trainable_->parameters, options_.ema_decay);
  recycling_.emplace(options_.recycling, options_.flow_shift);
  samples_.emplace(options_, window_, *cache_, *recycling_);
  if (options_.recycling.reencode_prob > 0) {
    vae_ = LoadVae(site_.model_dir, LoadOptions{site_.device, at::kFloat}).model;
  }
  // Samples have one or two clean slots; what is banked is what all of them have.
  const int64_t slots = (options_.num_frames - 1) / 4 + 1 - 2;
  collector_.emplace(options_, schedule_, slots, vae_.get(), collectives_, site_.device, *recycling_);
  int64_t trained = 0;
  for (const Parameter& parameter : trainable_->parameters) trained += parameter.tensor.numel();
  Log(absl::StrCat("training ", trained, " parameters in ", trainable_->parameters.size(), " tensors"));
}

void TrainingRun::Restore() {
  std::optional<int64_t> newest;
  newest = checkpoints_.Newest();
  if (!newest) return;
  Together([&] {
    const TensorFile shared = checkpoints_.ReadShared(*newest);
    const auto about = [&](const char* key) {
      const auto found = shared.metadata.find(key);
      return found == shared.metadata.end() ? std::string() : found->second;
    };
    if (about("fingerprint") != options_.fingerprint || about("cache") != cache_->fingerprint()) {
      throw std::invalid_argument(
          "the run's folder holds a checkpoint that another specification, model or data set made; continue "
          "with what "
          "it was begun with, or begin in another folder");
    }
    if (about("ranks") != std::to_string(collectives_.size())) {
      // Another worker may have as many.
      throw StatusError(absl::FailedPreconditionError(
          absl::StrCat("the checkpoint was made by ", about("ranks"),
                       " ranks and can only be continued by as many, not by ", collectives_.size())));
    }
    LoadParameters(shared, trainable_->parameters);
    optimizer_->Load(shared);
    if (average_) average_->Load(shared);
    recycling_->Load(checkpoints_.ReadOwn(*newest), "recycling.");
  });
  report_.step = report_.checkpoint_step = *newest;
  report_.samples = *newest * samples_a_step();
  Log(absl::StrCat("continuing from the checkpoint of step ", *newest));
}

}  // namespace svi::engine
