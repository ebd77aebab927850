/* Video by FFmpeg: the only file that includes it. A demuxer hands out packets, the decoder turns them into frames
 * (some late, so at the end it is emptied), the scaler converts YUV by the file's own colour matrix and range. Only
 * local files and common containers are opened: play lists and protocols that reach elsewhere are not. Phones store
 * portrait video lying down with a display matrix; frames are turned upright by it. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libswscale/swscale.h>

#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/convert.h"
#include "image/decode.h"
#include "image/video_backend.h"

#define VIDEO_CONTAINERS "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,ogg,asf,gif"

typedef struct video_reader {
    video_options options;
    AVFormatContext *file;
    AVCodecContext *decoder;
    struct SwsContext *scaler;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    unsigned orientation;
    double origin, last; /* seconds: start of the stream, time of the last frame given out */
    bool draining, given;
} video_reader;

static mien_status video_failure(int code, const char *what, mien_error *error)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    mien_status status = code == AVERROR(ENOENT)             ? MIEN_ENOTFOUND
                         : code == AVERROR(ENOMEM)           ? MIEN_ENOMEM
                         : code == AVERROR(EACCES)           ? MIEN_EDENIED
                         : code == AVERROR_DECODER_NOT_FOUND ? MIEN_EUNSUPPORTED
                                                             : MIEN_EFORMAT;
    return error_set(error, status, "video: %s: %s", what, text);
}

static mien_status video_check_size(const video_reader *reader, int width, int height, mien_error *error)
{
    image_source limits = {.limits = reader->options.limits};
    return image_check_size(&limits, "video", width > 0 ? (uint64_t)width : 0, height > 0 ? (uint64_t)height : 0,
                            error);
}

/* The EXIF orientation that undoes the stream's display matrix; quarter turns only. */
static unsigned video_orientation(const AVStream *stream)
{
    const uint8_t *matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    double angle = matrix ? av_display_rotation_get((const int32_t *)(const void *)matrix) : 0;
    if (!(angle >= -360 && angle <= 360))
        return 1;
    static const unsigned quarters[4] = {1, 8, 3, 6}; /* counterclockwise */
    return quarters[((int)lround(angle / 90) + 4) & 3];
}

static mien_status video_open_file(video_reader *reader, const char *path, mien_error *error)
{
    char local[4200];
    int length = snprintf(local, sizeof local, "file:%s", path);
    if (length < 0 || (size_t)length >= sizeof local)
        return error_set(error, MIEN_EINVAL, "video: the path is too long");
    AVDictionary *settings = NULL;
    av_dict_set(&settings, "protocol_whitelist", "file", 0);
    av_dict_set(&settings, "format_whitelist", VIDEO_CONTAINERS, 0);
    int code = avformat_open_input(&reader->file, local, NULL, &settings);
    av_dict_free(&settings);
    if (code == AVERROR(EINVAL)) /* what libavformat says of a container outside the list */
        return error_set(
            error, MIEN_EFORMAT,
            "video: not a kind of file that is read (MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg, ASF, GIF)");
    if (code < 0)
        return video_failure(code, "cannot be opened", error);
    code = avformat_find_stream_info(reader->file, NULL);
    if (code < 0)
        return video_failure(code, "nothing is known about its streams", error);
    return MIEN_OK;
}

static mien_status video_open_decoder(video_reader *reader, mien_error *error)
{
    const AVCodec *codec = NULL;
    reader->stream = av_find_best_stream(reader->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (reader->stream == AVERROR_STREAM_NOT_FOUND)
        return error_set(error, MIEN_EFORMAT, "video: there is no moving picture in the file");
    if (reader->stream < 0)
        return video_failure(reader->stream, "no decoder", error);
    const AVStream *stream = reader->file->streams[reader->stream];
    mien_status status = video_check_size(reader, stream->codecpar->width, stream->codecpar->height, error);
    if (status)
        return status;
    reader->decoder = avcodec_alloc_context3(codec);
    reader->packet = av_packet_alloc();
    reader->frame = av_frame_alloc();
    if (!reader->decoder || !reader->packet || !reader->frame)
        return error_set(error, MIEN_ENOMEM, "out of memory: opening a video");
    int code = avcodec_parameters_to_context(reader->decoder, stream->codecpar);
    if (code >= 0) {
        reader->decoder->thread_count = 1; /* the caller's threads are the caller's to count */
        reader->decoder->max_pixels = (int64_t)reader->options.limits.max_pixels;
        code = avcodec_open2(reader->decoder, codec, NULL);
    }
    return code < 0 ? video_failure(code, "the decoder refuses", error) : MIEN_OK;
}

static void video_fill_info(video_reader *reader, video_info *info)
{
    const AVStream *stream = reader->file->streams[reader->stream];
    reader->orientation = video_orientation(stream);
    reader->origin = stream->start_time == AV_NOPTS_VALUE ? 0 : (double)stream->start_time * av_q2d(stream->time_base);
    bool lying = reader->orientation >= 5;
    info->width = (size_t)(lying ? stream->codecpar->height : stream->codecpar->width);
    info->height = (size_t)(lying ? stream->codecpar->width : stream->codecpar->height);
    info->frame_rate = stream->avg_frame_rate.den ? av_q2d(stream->avg_frame_rate) : 0;
    info->duration = reader->file->duration > 0 ? (double)reader->file->duration / AV_TIME_BASE : 0;
}

static void video_reader_close(void *state)
{
    video_reader *reader = state;
    sws_freeContext(reader->scaler);
    av_frame_free(&reader->frame);
    av_packet_free(&reader->packet);
    avcodec_free_context(&reader->decoder);
    avformat_close_input(&reader->file);
    memory_free(reader);
}

static mien_status video_reader_open(const char *path, const video_options *options, void **state, video_info *info,
                                     mien_error *error)
{
    av_log_set_level(AV_LOG_QUIET); /* a library does not print */
    video_reader *reader = memory_zeroed(1, sizeof *reader);
    if (!reader)
        return error_no_memory(error, sizeof *reader);
    reader->options = *options;
    mien_status status = video_open_file(reader, path, error);
    if (!status)
        status = video_open_decoder(reader, error);
    if (status) {
        video_reader_close(reader);
        return status;
    }
    video_fill_info(reader, info);
    *state = reader;
    return MIEN_OK;
}

/* One packet into the decoder, or at the end of the file the wish to be emptied. */
static int video_feed(video_reader *reader)
{
    int code;
    while ((code = av_read_frame(reader->file, reader->packet)) >= 0) {
        bool ours = reader->packet->stream_index == reader->stream;
        if (ours)
            code = avcodec_send_packet(reader->decoder, reader->packet);
        av_packet_unref(reader->packet);
        if (ours)
            return code;
    }
    if (code != AVERROR_EOF || reader->draining)
        return code;
    reader->draining = true;
    return avcodec_send_packet(reader->decoder, NULL);
}

static double video_time(const video_reader *reader)
{
    const AVStream *stream = reader->file->streams[reader->stream];
    int64_t stamp = reader->frame->best_effort_timestamp;
    return stamp == AV_NOPTS_VALUE ? reader->last : (double)stamp * av_q2d(stream->time_base) - reader->origin;
}

/* Next decoded frame that lies far enough behind the last; 0, AVERROR_EOF or another error. */
static int video_decode(video_reader *reader, double *seconds)
{
    for (;;) {
        int code = avcodec_receive_frame(reader->decoder, reader->frame);
        if (code == AVERROR(EAGAIN)) {
            code = video_feed(reader);
            if (code < 0 && code != AVERROR(EAGAIN))
                return code;
            continue;
        }
        if (code < 0)
            return code;
        *seconds = video_time(reader);
        if (!reader->given || *seconds - reader->last >= reader->options.interval - 1e-6)
            return 0;
        av_frame_unref(reader->frame);
    }
}

static mien_status video_prepare(mien_image *frame, size_t width, size_t height, mien_pixel_format format,
                                 mien_error *error)
{
    if (frame->data && frame->width == width && frame->height == height &&
        frame->stride >= width * mien_pixel_bytes(format)) {
        frame->format = format;
        return MIEN_OK;
    }
    mien_image fresh = {0};
    mien_status status = mien_image_init(&fresh, width, height, format, error);
    if (!status) {
        mien_image_done(frame);
        *frame = fresh;
    }
    return status;
}

static mien_status video_convert(video_reader *reader, mien_image *frame, mien_error *error)
{
    const AVFrame *from = reader->frame;
    bool blue_first = reader->options.format == MIEN_PIXEL_BGR8;
    mien_status status = video_check_size(reader, from->width, from->height, error);
    if (!status)
        status = video_prepare(frame, (size_t)from->width, (size_t)from->height,
                               blue_first ? MIEN_PIXEL_BGR8 : MIEN_PIXEL_RGB8, error);
    if (status)
        return status;
    reader->scaler = sws_getCachedContext(reader->scaler, from->width, from->height, from->format, from->width,
                                          from->height, blue_first ? AV_PIX_FMT_BGR24 : AV_PIX_FMT_RGB24,
                                          SWS_BILINEAR | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!reader->scaler)
        return error_set(error, MIEN_EUNSUPPORTED, "video: frames of this pixel format cannot be converted");
    sws_setColorspaceDetails(reader->scaler, sws_getCoefficients(from->colorspace),
                             from->color_range == AVCOL_RANGE_JPEG, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                             1 << 16);
    uint8_t *const planes[4] = {frame->data};
    const int strides[4] = {(int)frame->stride};
    sws_scale(reader->scaler, (const uint8_t *const *)from->data, from->linesize, 0, from->height, planes, strides);
    image_convert_in_place(frame, reader->options.format);
    return image_orient(frame, reader->orientation, error);
}

static mien_status video_reader_next(void *state, mien_image *frame, double *seconds, bool *more, mien_error *error)
{
    video_reader *reader = state;
    double time = 0;
    int code = video_decode(reader, &time);
    if (code == AVERROR_EOF) {
        *more = false;
        return MIEN_OK;
    }
    if (code < 0)
        return video_failure(code, "damaged", error);
    mien_status status = video_convert(reader, frame, error);
    av_frame_unref(reader->frame);
    if (status)
        return status;
    reader->last = time;
    reader->given = true;
    *seconds = time;
    *more = true;
    return MIEN_OK;
}

extern MIEN_API const video_backend mien_video_backend;
const video_backend mien_video_backend = {
    .version = VIDEO_BACKEND_VERSION,
    .open = video_reader_open,
    .next = video_reader_next,
    .close = video_reader_close,
};
