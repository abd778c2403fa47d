with

seller_months as (

    select * from {{ ref('sales_team_data_mart') }}

),

store_months as (

    select
        store_id,
        sales_month,
        store_address,
        store_manager_name,
        cast(sum(total_sales) as decimal(28, 2)) as total_sales,
        sum(sales_count) as sales_count,
        sum(incentive) as incentive

    from seller_months

    group by
        store_id,
        sales_month,
        store_address,
        store_manager_name

),

compared as (

    select
        *,
        lag(sales_month) over (partition by store_id order by sales_month)
            as last_month_with_sales,
        lag(total_sales) over (partition by store_id order by sales_month)
            as total_of_last_month_with_sales,
        sum(total_sales) over (
            partition by store_id
            order by sales_month
            rows between unbounded preceding and current row
        ) as running_total

    from store_months

),

-- growth compares calendar months: after a month without sales there is nothing to
-- compare with
with_previous_month as (

    select
        *,
        if(
            last_month_with_sales = {{ month_before('sales_month') }},
            total_of_last_month_with_sales,
            null
        ) as previous_month_sales

    from compared

),

rpt_sales_by_store_and_month as (

    select
        store_id,
        sales_month,
        store_address,
        store_manager_name,
        total_sales,
        sales_count,
        cast(incentive as decimal(28, 2)) as incentive,
        previous_month_sales,
        cast(
            {{ rounded_share(
                '(total_sales - previous_month_sales)', 'previous_month_sales'
            ) }} as decimal(18, 4)
        ) as growth_rate,
        cast(running_total as decimal(28, 2)) as running_total

    from with_previous_month

)

select * from rpt_sales_by_store_and_month
