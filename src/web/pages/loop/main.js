// Owns the start of the picture of the loop.

document.title = "reactor-chat loop";
