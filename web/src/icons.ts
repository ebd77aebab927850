// A few line drawings on a grid of 24, for buttons and headings. They are decoration: the words beside them say the same.
const DRAWINGS = {
  camera: 'M4 8h3.5L9 5h6l1.5 3H20v11H4zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
  picture: 'M3 5h18v14H3zM3 17l5.5-5.5 4.5 4.5 3-3 5 5M15.5 9.5h.01',
  face: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9 10h.01M15 10h.01M8.5 14.5c2 2.3 5 2.3 7 0',
  doubt: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.6 9.5a2.5 2.5 0 1 1 3.4 2.3c-.8.4-1 .9-1 1.7M12 16.7h.01',
  shield: 'M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 11.5l2.2 2.3L15.2 9.5',
  play: 'M8 5l11 7-11 7z',
  pause: 'M9 5v14M15 5v14',
  stop: 'M6 6h12v12H6z',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  previous: 'M15 5l-7 7 7 7',
  next: 'M9 5l7 7-7 7',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  share: 'M12 15V4M8 7.5L12 4l4 3.5M6 11H5v9h14v-9h-1',
} as const;

export type Icon = keyof typeof DRAWINGS;

export function icon(name: Icon): SVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const drawing = document.createElementNS(namespace, 'svg'), line = document.createElementNS(namespace, 'path');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('class', 'icon');
  drawing.setAttribute('aria-hidden', 'true');
  line.setAttribute('d', DRAWINGS[name]);
  drawing.append(line);
  return drawing;
}
