/* What a run leaves on disk: checkpoint, log and the best model so far. Each is replaced whole, so that a crash or a
 * full disk costs nothing older; the log is cut back to what the checkpoint knows when a run is resumed.
 *
 * checkpoint.bin: "MIENCKP2", u64 length of all, u64 length of the configuration, its text, trainer_counters, the
 * arrays of optimizer_state in its order, u64 CRC-64 (that of .xz) of everything before it. Native byte order.
 */
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/trainer_state.h"

static const char files_magic[8] = {'M', 'I', 'E', 'N', 'C', 'K', 'P', '2'};
static const size_t files_most = (size_t)4 << 30;

mien_status trainer_path(const trainer *t, const char *name, char *path, size_t capacity, mien_error *error)
{
    int length = snprintf(path, capacity, "%s/%s", t->config.out, name);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, MIEN_EINVAL, "out: the path is too long");
    return MIEN_OK;
}

static void files_append_array(void *context, void *bytes, size_t length)
{
    buffer_append(context, bytes, length);
}

mien_status trainer_save(trainer *t, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    mien_status status = trainer_path(t, "checkpoint.bin", path, sizeof(path), error);
    if (status)
        return status;
    buffer text = {0}, out = {0};
    uint64_t total = 0, text_length = 0;
    config_write(&t->config, &text);
    text_length = text.length;
    buffer_append(&out, files_magic, sizeof(files_magic));
    buffer_append(&out, &total, sizeof(total));
    buffer_append(&out, &text_length, sizeof(text_length));
    buffer_append(&out, text.data, text.length);
    buffer_append(&out, &t->now, sizeof(t->now));
    optimizer_state(t->opt, files_append_array, &out);
    status = text.failed ? buffer_status(&text, error) : buffer_status(&out, error);
    if (!status) {
        total = out.length + sizeof(uint64_t);
        memcpy(out.data + sizeof(files_magic), &total, sizeof(total));
        uint64_t crc = lzma_crc64(out.data, out.length, 0);
        buffer_append(&out, &crc, sizeof(crc));
        status = buffer_status(&out, error);
    }
    if (!status)
        status = file_write(path, out.data, out.length, error);
    buffer_done(&text);
    buffer_done(&out);
    return status;
}

/* Reads the file and checks everything that does not need to know the network. */
static mien_status files_read_checkpoint(const char *path, buffer *bytes, mien_error *error)
{
    mien_status status = file_read(path, files_most, bytes, error);
    if (status)
        return status;
    uint64_t total = 0, crc = 0;
    size_t least = sizeof(files_magic) + 2 * sizeof(uint64_t) + sizeof(trainer_counters) + sizeof(crc);
    if (bytes->length < least || memcmp(bytes->data, files_magic, sizeof(files_magic)))
        return error_set(error, MIEN_EFORMAT, "%s: is not a checkpoint", path);
    memcpy(&total, bytes->data + sizeof(files_magic), sizeof(total));
    memcpy(&crc, bytes->data + bytes->length - sizeof(crc), sizeof(crc));
    if (total != bytes->length || crc != lzma_crc64(bytes->data, bytes->length - sizeof(crc), 0))
        return error_set(error, MIEN_EFORMAT, "%s: is damaged or cut short", path);
    return MIEN_OK;
}

/* The configuration's text, NUL-terminated in a copy; *after is where the counters begin. */
static mien_status files_read_config(const char *path, const buffer *bytes, train_config *config, size_t *after,
                                     mien_error *error)
{
    uint64_t length = 0;
    size_t at = sizeof(files_magic) + sizeof(uint64_t);
    memcpy(&length, bytes->data + at, sizeof(length));
    at += sizeof(length);
    if (length > bytes->length - at - sizeof(trainer_counters) - sizeof(uint64_t))
        return error_set(error, MIEN_EFORMAT, "%s: is not a checkpoint", path);
    char *text = memory_text_span((const char *)bytes->data + at, (size_t)length);
    if (!text)
        return error_no_memory(error, (size_t)length);
    config_default(config);
    mien_status status = config_parse(config, text, path, error);
    memory_free(text);
    *after = at + (size_t)length;
    return status;
}

mien_status trainer_read_config(const char *folder, train_config *config, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    buffer bytes = {0};
    train_config read;
    size_t after = 0;
    snprintf(path, sizeof(path), "%s/checkpoint.bin", folder);
    mien_status status = files_read_checkpoint(path, &bytes, error);
    if (!status)
        status = files_read_config(path, &bytes, &read, &after, error);
    if (!status)
        *config = read;
    buffer_done(&bytes);
    return status;
}

typedef struct files_cursor {
    const uint8_t *at;
    size_t left;
    bool missing;
} files_cursor;

static void files_take_array(void *context, void *bytes, size_t length)
{
    files_cursor *cursor = context;
    if (cursor->missing || cursor->left < length) {
        cursor->missing = true;
        return;
    }
    memcpy(bytes, cursor->at, length);
    cursor->at += length;
    cursor->left -= length;
}

static void files_count_array(void *context, void *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)context += length;
}

static mien_status files_cut_log(const trainer *t, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    mien_status status = trainer_path(t, "log.jsonl", path, sizeof(path), error);
    struct stat about;
    if (status || stat(path, &about) || about.st_size <= t->now.log_length)
        return status;
    if (truncate(path, (off_t)t->now.log_length))
        return error_set(error, MIEN_EIO, "%s: cannot be cut back", path);
    return MIEN_OK;
}

mien_status trainer_load(trainer *t, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    buffer bytes = {0};
    train_config config;
    trainer_counters counters;
    size_t after = 0, needed = 0;
    mien_status status = trainer_path(t, "checkpoint.bin", path, sizeof(path), error);
    if (!status)
        status = files_read_checkpoint(path, &bytes, error);
    if (!status)
        status = files_read_config(path, &bytes, &config, &after, error);
    if (status)
        goto out;
    memcpy(&counters, bytes.data + after, sizeof(counters));
    after += sizeof(counters);
    optimizer_state(t->opt, files_count_array, &needed);
    if (counters.parameters != t->now.parameters || bytes.length - after - sizeof(uint64_t) != needed)
        status = error_set(error, MIEN_EINVAL, "%s: is of another network or optimiser", path);
    else if (counters.samples != t->now.samples)
        status = error_set(error, MIEN_EINVAL, "%s: was trained on %lld samples, but there are %lld", path,
                           (long long)counters.samples, (long long)t->now.samples);
    if (status)
        goto out;
    files_cursor cursor = {bytes.data + after, needed, false};
    optimizer_state(t->opt, files_take_array, &cursor);
    t->now = counters;
    t->version++;
    status = files_cut_log(t, error);
out:
    buffer_done(&bytes);
    return status;
}

mien_status trainer_resume(trainer *t, mien_error *error)
{
    return trainer_load(t, error);
}

static mien_status files_append(const char *path, const buffer *text, mien_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(error, MIEN_EIO, "%s: cannot be opened", path);
    ssize_t wrote = write(fd, text->data, text->length);
    bool failed = close(fd) || wrote != (ssize_t)text->length;
    return failed ? error_set(error, MIEN_EIO, "%s: cannot be written; is the disk full?", path) : MIEN_OK;
}

mien_status trainer_log_epoch(trainer *t, const trainer_epoch *epoch, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    mien_status status = trainer_path(t, "log.jsonl", path, sizeof(path), error);
    if (status)
        return status;
    if (!t->now.log_length)
        unlink(path);
    buffer line = {0};
    buffer_append_format(&line, "{\"epoch\":%d,\"epochs\":%d,\"rate\":%.6g,\"loss\":%.6f,", epoch->epoch, epoch->epochs,
                         epoch->rate, epoch->loss);
    t->task->log(epoch, &line);
    buffer_append_format(&line, "\"seconds\":%.1f,\"images_per_second\":%.1f}\n", epoch->seconds,
                         epoch->images_per_second);
    status = buffer_status(&line, error);
    if (!status)
        status = files_append(path, &line, error);
    if (!status)
        t->now.log_length += (int64_t)line.length;
    buffer_done(&line);
    return status;
}

static mien_status files_describe(const trainer *t, const trainer_epoch *epoch, model *best, mien_error *error)
{
    buffer text = {0};
    if (*t->command)
        buffer_append_format(&text, "%s\n", t->command);
    config_write(&t->config, &text);
    mien_status status = buffer_status(&text, error);
    if (!status)
        status = model_info_set(&best->info, "training", buffer_text(&text), error);
    buffer_done(&text);
    return status ? status : t->task->describe(t, epoch, best, error);
}

mien_status trainer_save_best(trainer *t, const trainer_epoch *epoch, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    model best = {0};
    mien_status status = trainer_path(t, "best.onnx", path, sizeof(path), error);
    if (!status)
        status = model_copy(&t->network, &best, error);
    if (status)
        return status;
    nn_parameters_to_graph(optimizer_average(t->opt), &best.graph);
    status = files_describe(t, epoch, &best, error);
    if (!status)
        status = model_save_onnx(&best, path, error);
    model_done(&best);
    return status;
}
