/* Links to kept pictures that work without a token: an <img> sends none. Whoever has one may look at that one picture
 * for a day or two; every answer to the owner brings a fresh one, and deleting the record ends it. */
#ifndef SERVER_PICTURE_LINK_H
#define SERVER_PICTURE_LINK_H

#include "server/people.h"

/** "https://host/api/history/<id>/picture?expires=…&signature=…". */
mien_status picture_link_write(const http_request *request, const char *id, buffer *link);
/** Does the request carry such a link's query for this record, and is it still good? */
bool picture_link_good(const http_request *request, const char *id);

#endif
