/** What lies over the picture: loading, problems, short notes. */

import { asProblem } from "./problems.js";

const NOTE_MS = 3500;
const part = (id) => document.getElementById(id);
let hiding = 0;

/** Show how far loading is; `share` 0 means that nobody knows. */
export function showLoading(step, share) {
    part("loading").hidden = false;
    part("loading").classList.remove("done");
    part("step").textContent = share > 0 ? `${step} ${Math.floor(100 * share)} %` : `${step} …`;
    if (share > 0) part("bar").value = share;
    else part("bar").removeAttribute("value");
}

export function hideLoading() {
    part("loading").classList.add("done");
    part("loading").hidden = true;
    part("loading").classList.add("small"); // later loads go on beside what is shown
}

export function showPicture(url) {
    if (!url) return;
    part("picture").src = url;
    part("picture").hidden = false;
    part("picture").onerror = () => (part("picture").hidden = true);
}

/** Replace the page by a sentence and what to do. */
export function showProblem(error) {
    const problem = asProblem(error, "the scene");
    const section = part("problem");
    section.querySelector("h2").textContent = problem.message;
    section.querySelector("p").textContent = problem.hint;
    section.querySelector("button").onclick = () => location.reload();
    section.hidden = false;
    part("loading").hidden = true;
}

/** Tell something for a few seconds. */
export function note(text) {
    const line = part("note");
    line.textContent = text;
    line.classList.add("shown");
    clearTimeout(hiding);
    hiding = setTimeout(() => line.classList.remove("shown"), NOTE_MS);
}
