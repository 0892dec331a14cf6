document.title = "maquette";
