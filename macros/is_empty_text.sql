{% macro is_empty_text(text, is_trimmed=false) -%}
    {%- set literals = ["''"] -%}
    {%- set lengths = [0] -%}
    {%- for word in rule_variable('empty_words') -%}
        {%- do literals.append(text_literal(word | lower)) -%}
        {%- do lengths.append(word | length) -%}
    {%- endfor -%}
    (
        {{ text }} is null
        {%- if is_trimmed %}
        or (
            char_length({{ text }}) <= {{ lengths | max }}
            and lower({{ text }}) in ({{ literals | join(', ') }})
        )
        {%- else %}
        or lower({{ without_blanks(text) }}) in ({{ literals | join(', ') }})
        {%- endif %}
    )
{%- endmacro %}
