/** Saves the picture as a PNG, without the page's buttons. */

export function saveScreenshot(viewer) {
    const { app, canvas } = viewer.stage;
    return new Promise((resolve) => {
        app.once("frameend", () => {
            canvas.toBlob((blob) => { // in the frame that drew it: the buffer is not kept
                const link = document.createElement("a");
                link.href = URL.createObjectURL(blob);
                link.download = `${viewer.scene.title}.png`;
                link.click();
                setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
                resolve(blob);
            });
        });
        viewer.stage.wake();
    });
}
