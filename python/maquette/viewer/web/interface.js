/** Head line, tool bar and panels, for what the scene has. */

export function addInterface(viewer) {
    document.getElementById("title").textContent = viewer.scene.title;
    document.getElementById("description").textContent = viewer.scene.description;
}
