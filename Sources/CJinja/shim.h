// The headers of llama.cpp's Jinja engine are C++; CChatTemplate includes them. This module brings where they are.
