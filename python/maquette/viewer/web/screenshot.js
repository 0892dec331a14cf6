/** Saves the picture as a PNG, without the page's buttons. */

export function saveScreenshot(viewer) {
    const { app, canvas, pace } = viewer.stage;
    return new Promise((resolve) => {
        const take = () => { // in the frame that drew it: the buffer is not kept
            if (pace.isCoarse) return viewer.stage.wake();
            app.off("postrender", take);
            canvas.toBlob((blob) => {
                const link = document.createElement("a");
                link.href = URL.createObjectURL(blob);
                link.download = `${viewer.scene.title}.png`;
                link.click();
                setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
                resolve(blob);
            });
        };
        app.on("postrender", take);
        viewer.stage.wake();
    });
}
