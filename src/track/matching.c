/* How likely a face in this frame is one that is known. Three witnesses: overlap with the predicted box, distance from
 * the predicted centre, and looks. Motion decides between neighbours from frame to frame; the longer a face was out of
 * sight, the less its predicted place is worth and the more its looks are. */
#include <math.h>

#include "track/tracker.h"

const double matching_most = 0.8;

double matching_overlap(const mien_rect *a, const mien_rect *b)
{
    double left = fmax(a->x, b->x), top = fmax(a->y, b->y);
    double right = fmin((double)a->x + a->width, (double)b->x + b->width);
    double bottom = fmin((double)a->y + a->height, (double)b->y + b->height);
    if (right <= left || bottom <= top)
        return 0;
    double common = (right - left) * (bottom - top);
    return common / ((double)a->width * a->height + (double)b->width * b->height - common);
}

double matching_cost(const tracked *t, const mien_face *face, const appearance *looks, double gap_ms)
{
    mien_rect expected = motion_box(&t->motion);
    double size = t->motion.size.position, other = sqrt((double)face->box.width * face->box.height);
    double x = face->box.x + face->box.width / 2.0 - t->motion.x.position;
    double y = face->box.y + face->box.height / 2.0 - t->motion.y.position;
    double distance = hypot(x, y) / fmax(size, other);
    double reach = fmin(0.7 + 3 * motion_spread(&t->motion) / size, 3); /* face sizes */
    double change = fabs(log(other / size));
    if (distance > reach || change > log(2))
        return INFINITY;
    double absence = fmin(gap_ms / 1000, 1); /* 0 = just seen */
    double place = 0.6 * (1 - matching_overlap(&expected, &face->box)) + 0.4 * distance / reach;
    double shape = 0.15 * change / log(2);
    if (!t->looks.known || !looks->known)
        return fmin(0.85 * place + shape, 1);
    double unlike = fmin(fmax(1 - appearance_likeness(&t->looks, looks), 0), 1);
    double trust = 0.3 + 0.3 * absence;
    return fmin((0.85 - trust) * place + shape + trust * unlike, 1);
}
