/** Background, theme, sharpness and shading; kept in this browser. */

const QUALITIES = { low: 0.75, medium: 1, high: 2 }; // most device pixels a CSS pixel
const BUDGETS = { low: 500_000, medium: 1_500_000, high: 4_000_000 }; // of streamed splats
const KEPT = "maquette.settings";

/** The page's colours, before anything is loaded. */
export function applyTheme(chosen = kept().theme) {
    const isLight = matchMedia("(prefers-color-scheme: light)").matches;
    document.documentElement.dataset.theme = chosen || (isLight ? "light" : "dark");
}

export class Settings {
    constructor(viewer) {
        this.viewer = viewer;
        this.values = { theme: "", background: "", quality: automatic(), shading: "colours", pointSize: 2, ...kept() };
        matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.apply());
        viewer.addEventListener("changed", () => this.applyToItems());
        this.apply();
    }

    set(name, value) {
        this.values[name] = value;
        try {
            localStorage.setItem(KEPT, JSON.stringify(this.values));
        } catch {
            // a private window keeps nothing: the setting holds until it is closed
        }
        this.apply();
    }

    get background() {
        if (this.values.background) return this.values.background;
        if (this.viewer.scene.background) return this.viewer.scene.background;
        return getComputedStyle(document.documentElement).getPropertyValue("--ground").trim();
    }

    apply() {
        applyTheme(this.values.theme);
        const { stage } = this.viewer;
        stage.background = this.background;
        stage.pace.ratio = Math.min(devicePixelRatio, QUALITIES[this.values.quality]);
        stage.app.scene.gsplat.splatBudget = BUDGETS[this.values.quality];
        this.applyToItems();
    }

    applyToItems() {
        for (const item of this.viewer.stage.items) {
            item.shade?.(this.values.shading);
            item.resize?.(this.values.pointSize);
        }
        this.viewer.stage.wake();
    }
}

/** What a device of this kind draws fluently. */
function automatic() {
    const isSmall = Math.min(screen.width, screen.height) < 600;
    if (isSmall || (navigator.hardwareConcurrency ?? 8) <= 2) return "medium";
    return "high";
}

function kept() {
    try {
        return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    } catch {
        return {};
    }
}
