// A view fills the main element and cleans up after itself when the person goes elsewhere.
export interface View {
  element: HTMLElement;
  leave?(): void;
}
