#include "worker/media/join.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "worker/media/ffmpeg.h"

namespace svi::media {
namespace {

// A clip opened for copying.
class ClipInput {
 public:
  ~ClipInput() { avformat_close_input(&context_); }

  absl::Status Open(const std::string& path, size_t number) {
    const std::string what = absl::StrCat("clip ", number, " cannot be read");
    if (int error = avformat_open_input(&context_, path.c_str(), av_find_input_format("mp4"), nullptr);
        error < 0) {
      return FfmpegError(
          error == AVERROR(ENOENT) ? absl::StatusCode::kNotFound : absl::StatusCode::kInvalidArgument, what,
          error);
    }
    if (int error = avformat_find_stream_info(context_, nullptr); error < 0) {
      return FfmpegError(absl::StatusCode::kInvalidArgument, what, error);
    }
    if (context_->nb_streams != 1 || stream()->codecpar->codec_id != AV_CODEC_ID_H264) {
      return absl::InvalidArgumentError(absl::StrCat("clip ", number, " is not a single H.264 stream"));
    }
    return absl::OkStatus();
  }
  AVFormatContext* context() { return context_; }
  AVStream* stream() { return context_->streams[0]; }

 private:
  AVFormatContext* context_ = nullptr;
};

bool SameParameterSets(const AVCodecParameters& a, const AVCodecParameters& b) {
  return a.extradata_size == b.extradata_size &&
         (a.extradata_size == 0 || std::memcmp(a.extradata, b.extradata, a.extradata_size) == 0);
}

class Joiner {
 public:
  explicit Joiner(bool inband) : inband_(inband) {}
  ~Joiner() {
    if (!muxer_) return;
    avio_closep(&muxer_->pb);
    avformat_free_context(muxer_);
  }

  absl::Status Append(const std::string& path, size_t number, const std::string& output_path);
  absl::Status Finish() {
    if (int error = av_write_trailer(muxer_); error < 0) return WriteError(error);
    if (int error = avio_closep(&muxer_->pb); error < 0) return WriteError(error);
    return absl::OkStatus();
  }

 private:
  static absl::Status WriteError(int error) {
    return FfmpegError(absl::StatusCode::kInternal, "the joined video cannot be written", error);
  }
  absl::Status Begin(AVStream* first, const std::string& output_path);
  absl::Status Copy(ClipInput* input, AVBSFContext* filter, size_t number);
  absl::Status Write(AVPacket* packet, AVRational time_base, int64_t start);

  const bool inband_;  // parameter sets travel with each key frame, since they change from clip to clip
  AVFormatContext* muxer_ = nullptr;
  AVRational fps_ = {0, 1};
  int64_t frames_ = 0;  // written: the next clip starts here, in units of 1/fps
};

absl::Status Joiner::Begin(AVStream* first, const std::string& output_path) {
  // The path, since moving the index to the front reads the file again.
  if (int error = avformat_alloc_output_context2(&muxer_, nullptr, "mp4", output_path.c_str()); error < 0) {
    return WriteError(error);
  }
  muxer_->flags |= AVFMT_FLAG_BITEXACT;
  AVStream* stream = avformat_new_stream(muxer_, nullptr);
  if (!stream) return absl::ResourceExhaustedError("out of memory for a stream");
  if (int error = avcodec_parameters_copy(stream->codecpar, first->codecpar); error < 0)
    return WriteError(error);
  stream->codecpar->codec_tag = inband_ ? MKTAG('a', 'v', 'c', '3') : MKTAG('a', 'v', 'c', '1');
  fps_ = first->avg_frame_rate;
  if (fps_.num <= 0 || fps_.den <= 0) return absl::InvalidArgumentError("clip 0 has no frame rate");
  stream->avg_frame_rate = fps_;
  stream->time_base = av_inv_q(fps_);
  if (int error = avio_open(&muxer_->pb, output_path.c_str(), AVIO_FLAG_WRITE); error < 0)
    return WriteError(error);
  AVDictionary* options = nullptr;
  av_dict_set(&options, "movflags", "faststart", 0);
  const int error = avformat_write_header(muxer_, &options);
  av_dict_free(&options);
  return error < 0 ? WriteError(error) : absl::OkStatus();
}

// Clips have a constant frame rate and no B-frames, so that a packet's place is its number: exact for any
// time base.
absl::Status Joiner::Write(AVPacket* packet, AVRational time_base, int64_t start) {
  const AVRational frame = av_inv_q(fps_);
  const int64_t place = frames_ + av_rescale_q_rnd(packet->pts - start, time_base, frame, AV_ROUND_NEAR_INF);
  AVStream* out = muxer_->streams[0];
  packet->pts = packet->dts = av_rescale_q(place, frame, out->time_base);
  packet->duration = av_rescale_q(place + 1, frame, out->time_base) - packet->pts;
  packet->stream_index = 0;
  packet->pos = -1;
  if (int error = av_write_frame(muxer_, packet); error < 0) return WriteError(error);
  return absl::OkStatus();
}

absl::Status Joiner::Copy(ClipInput* input, AVBSFContext* filter, size_t number) {
  PacketPtr packet(av_packet_alloc());
  if (!packet) return absl::ResourceExhaustedError("out of memory for a packet");
  int64_t start = AV_NOPTS_VALUE, count = 0;
  const auto put = [&]() -> absl::Status {
    if (packet->pts == AV_NOPTS_VALUE || packet->pts != packet->dts) {
      return absl::InvalidArgumentError(absl::StrCat("clip ", number, " has reordered frames"));
    }
    if (start == AV_NOPTS_VALUE) start = packet->pts;
    absl::Status status = Write(packet.get(), input->stream()->time_base, start);
    av_packet_unref(packet.get());
    ++count;
    return status;
  };
  int error = 0;
  while ((error = av_read_frame(input->context(), packet.get())) >= 0) {
    if (filter) {
      if (int sent = av_bsf_send_packet(filter, packet.get()); sent < 0) return WriteError(sent);
      while (av_bsf_receive_packet(filter, packet.get()) >= 0) {
        if (absl::Status status = put(); !status.ok()) return status;
      }
    } else if (absl::Status status = put(); !status.ok()) {
      return status;
    }
  }
  if (error != AVERROR_EOF) {
    return FfmpegError(absl::StatusCode::kInvalidArgument, absl::StrCat("clip ", number, " is damaged"),
                       error);
  }
  if (count == 0) return absl::InvalidArgumentError(absl::StrCat("clip ", number, " has no frames"));
  frames_ += count;
  return absl::OkStatus();
}

absl::Status Joiner::Append(const std::string& path, size_t number, const std::string& output_path) {
  ClipInput input;
  if (absl::Status status = input.Open(path, number); !status.ok()) return status;
  AVStream* stream = input.stream();
  if (!muxer_) {
    if (absl::Status status = Begin(stream, output_path); !status.ok()) return status;
  }
  const AVCodecParameters& have = *muxer_->streams[0]->codecpar;
  if (stream->codecpar->width != have.width || stream->codecpar->height != have.height ||
      av_cmp_q(stream->avg_frame_rate, fps_) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip ", number, " has another size or frame rate than the clips before it"));
  }
  BsfPtr filter;
  if (inband_) {
    AVBSFContext* raw = nullptr;
    if (int error = av_bsf_alloc(av_bsf_get_by_name("h264_mp4toannexb"), &raw); error < 0)
      return WriteError(error);
    filter.reset(raw);
    filter->time_base_in = stream->time_base;
    if (int error = avcodec_parameters_copy(filter->par_in, stream->codecpar); error < 0)
      return WriteError(error);
    if (int error = av_bsf_init(filter.get()); error < 0) return WriteError(error);
  }
  return Copy(&input, filter.get(), number);
}

// Whether every clip has the parameter sets of the first; then the usual avc1 layout does.
absl::StatusOr<bool> AllAlike(const std::vector<std::string>& paths) {
  ClipInput first;
  if (absl::Status status = first.Open(paths[0], 0); !status.ok()) return status;
  for (size_t i = 1; i < paths.size(); ++i) {
    ClipInput input;
    if (absl::Status status = input.Open(paths[i], i); !status.ok()) return status;
    if (!SameParameterSets(*first.stream()->codecpar, *input.stream()->codecpar)) return false;
  }
  return true;
}

}  // namespace

absl::Status JoinClips(const std::vector<std::string>& clip_paths, const std::string& output_path) {
  SilenceFfmpeg();
  if (clip_paths.empty()) return absl::InvalidArgumentError("there are no clips to join");
  absl::StatusOr<bool> alike = AllAlike(clip_paths);
  if (!alike.ok()) return alike.status();
  absl::Cleanup remove_output = [&] { std::remove(output_path.c_str()); };
  Joiner joiner(/*inband=*/!*alike);
  for (size_t i = 0; i < clip_paths.size(); ++i) {
    if (absl::Status status = joiner.Append(clip_paths[i], i, output_path); !status.ok()) return status;
  }
  if (absl::Status status = joiner.Finish(); !status.ok()) return status;
  std::move(remove_output).Cancel();
  return absl::OkStatus();
}

}  // namespace svi::media
