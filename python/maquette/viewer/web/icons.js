/** Line drawings for buttons, on a field of 24 by 24. */

const PATHS = {
    orbit: "M12 4a8 8 0 1 0 8 8M12 9a3 3 0 1 0 3 3M20 4v5h-5",
    fly: "M3 11 21 3l-7 18-3-8zM11 13 21 3",
    walk: "M13 4.5a1.5 1.5 0 1 0 .01 0M9 21l2.5-6-2-3 1-4.5 3 2 1.5 3 3 .5M11.5 15l3 2 1 4M7.500 12l1-3.500 2.500-1",
    all: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5M9 9h6v6H9z",
    reset: "M4 12a8 8 0 1 0 3-6.200M4 4v5h5",
    above: "M12 3v11M8 10l4 4 4-4M4 20h16",
    measure: "M3 16 16 3l5 5L8 21zM7 12l2 2M10 9l2.500 2.500M13 6l2 2",
    mark: "M12 21c4-5 6-8 6-11a6 6 0 0 0-12 0c0 3 2 6 6 11zM12 8a2 2 0 1 0 .01 0",
    compare: "M12 3v18M4 6h5v12H4zM15 6h5v12h-5z",
    shot: "M4 8h3l2-3h6l2 3h3v11H4zM12 10a3.500 3.500 0 1 0 .01 0",
    link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
    layers: "M12 3 3 8l9 5 9-5zM3 12l9 5 9-5M3 16l9 5 9-5",
    settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    help: "M9 9a3 3 0 1 1 4 2.800c-1 .4-1 1.200-1 2.200M12 17.500v.01M12 3a9 9 0 1 0 .01 0",
    full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
};

export function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", PATHS[name]);
    svg.append(path);
    return svg;
}
