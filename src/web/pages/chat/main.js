// Owns the start of the chat page.

document.title = "reactor-chat";
