/** What the worker answers with. */
export interface Found {
  message: string; // for the server, with the faces in it
  bytes: number; // of the faces' picture
}
