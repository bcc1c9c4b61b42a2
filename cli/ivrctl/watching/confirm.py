"""The question before a stop: what would be stopped, and two buttons, of which Cancel has the focus."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[bool]):
    """Asks; ends with True only if somebody goes to the other button and presses it."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "cancel", "Cancel")]
    AUTO_FOCUS = "#cancel"
    CSS = """
    Confirm { align: center middle; }
    #question { width: 72; height: auto; border: thick $error; padding: 1 2; background: $surface; }
    #buttons { height: auto; align-horizontal: right; margin-top: 1; }
    #buttons Button { margin-left: 2; }
    """

    def __init__(self, told: str) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(id="question"):
            yield Static(self._told, markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Stop it", id="stop", variant="error")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer."""
        self.dismiss(event.button.id == "stop")

    def action_cancel(self) -> None:
        """Take Escape for Cancel."""
        self.dismiss(False)
