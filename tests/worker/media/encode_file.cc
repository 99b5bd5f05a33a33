#include "tests/worker/media/encode_file.h"

#include <cstring>

#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"

namespace svi::media {
namespace {

constexpr AVRational kFrame = {1, 24};

CodecPtr OpenEncoder(const FileOptions& options, bool global_header) {
  const AVCodec* encoder = avcodec_find_encoder_by_name(options.codec);
  EXPECT_NE(encoder, nullptr) << options.codec;
  CodecPtr codec(avcodec_alloc_context3(encoder));
  codec->width = options.width;
  codec->height = options.height;
  codec->time_base = kFrame;
  codec->framerate = av_inv_q(kFrame);
  codec->pix_fmt = std::strcmp(options.codec, "mjpeg") == 0 ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
  codec->colorspace = AVCOL_SPC_BT709;
  codec->gop_size = 6;
  codec->max_b_frames = options.max_b_frames;
  codec->bit_rate = 4'000'000;
  codec->thread_count = 1;
  if (global_header) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  EXPECT_GE(avcodec_open2(codec.get(), encoder, nullptr), 0);
  return codec;
}

FramePtr YuvFrame(const FileOptions& options, SwsContext* sws, int number) {
  FramePtr rgb = *NewFrame(AV_PIX_FMT_RGB24, options.width, options.height);
  CopyToRgb24(MovingPicture(options.width, options.height, number), rgb.get());
  FramePtr yuv = *NewFrame(AV_PIX_FMT_YUV420P, options.width, options.height);
  sws_scale(sws, rgb->data, rgb->linesize, 0, options.height, yuv->data, yuv->linesize);
  if (std::strcmp(options.codec, "mjpeg") == 0) yuv->format = AV_PIX_FMT_YUVJ420P;
  yuv->pts = number;
  return yuv;
}

void Write(AVCodecContext* codec, AVFormatContext* muxer, const AVFrame* frame) {
  ASSERT_GE(avcodec_send_frame(codec, frame), 0);
  PacketPtr packet(av_packet_alloc());
  while (avcodec_receive_packet(codec, packet.get()) >= 0) {
    packet->stream_index = 0;
    packet->duration = 1;
    av_packet_rescale_ts(packet.get(), codec->time_base, muxer->streams[0]->time_base);
    ASSERT_GE(av_interleaved_write_frame(muxer, packet.get()), 0);
  }
}

}  // namespace

void EncodeFile(const std::string& path, const FileOptions& options) {
  SilenceFfmpeg();
  AVFormatContext* muxer = nullptr;
  ASSERT_GE(avformat_alloc_output_context2(&muxer, nullptr, nullptr, path.c_str()), 0);
  CodecPtr codec = OpenEncoder(options, (muxer->oformat->flags & AVFMT_GLOBALHEADER) != 0);
  AVStream* stream = avformat_new_stream(muxer, nullptr);
  stream->time_base = kFrame;
  stream->avg_frame_rate = av_inv_q(kFrame);
  ASSERT_GE(avcodec_parameters_from_context(stream->codecpar, codec.get()), 0);
  ASSERT_GE(avio_open(&muxer->pb, path.c_str(), AVIO_FLAG_WRITE), 0);
  ASSERT_GE(avformat_write_header(muxer, nullptr), 0);
  const SwsPtr sws = *RgbToBt709(options.width, options.height);
  for (int i = 0; i < options.frames; ++i) {
    Write(codec.get(), muxer, YuvFrame(options, sws.get(), i).get());
  }
  Write(codec.get(), muxer, nullptr);
  EXPECT_GE(av_write_trailer(muxer), 0);
  avio_closep(&muxer->pb);
  avformat_free_context(muxer);
}

}  // namespace svi::media
