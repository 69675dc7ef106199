"""What is measured of rnnjax itself: its speed, and how often its doctor is right."""
